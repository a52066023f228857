"""Attention reduced to arithmetic that a test can write out, at all places of a block."""

from torch import Tensor, nn

from gradscape.models.sites import AttendedBlock


class Double(nn.Module):
    def forward(self, features: Tensor) -> Tensor:
        return 2 * features


class AddMean(nn.Module):
    def forward(self, branch: Tensor, block_input: Tensor) -> Tensor:
        return branch + block_input.mean()


def attend(block: AttendedBlock) -> dict[str, Tensor]:
    """Double the branch, then add the input's mean to it; double the output. Return the block's random tensors."""
    for tensor in (*block.parameters(), *block.buffers()):
        if tensor.is_floating_point():
            tensor.detach().uniform_(0.1, 0.9)
    state = block.state_dict()
    block.add_attention("first", Double(), place="branch")
    block.add_attention("second", AddMean(), place="gate")
    block.add_attention("third", Double(), place="output")
    return state
