import pytest
import torch
from torch import nn

from gradscape.landscape import Options, find_span, random_directions
from gradscape.landscape.span_rehearsal import rehearse_search


@pytest.mark.slow
def test_a_rehearsal_makes_as_many_trials_as_the_search_will() -> None:
    torch.manual_seed(0)
    wide = nn.Linear(4, 3)
    narrow = nn.Linear(4, 3)
    with torch.no_grad():
        narrow.weight.fill_(1e38)  # overflows where it moves far
    images = torch.randn(128, 4)
    batches = [(images, wide(images).argmax(1))]
    looked_at = [(net, random_directions(net, seed=0)) for net in (wide, narrow)]
    trials = find_span(looked_at, batches).trials
    assert len(trials) > 2
    assert rehearse_search(looked_at, batches, options=Options()) == len(trials)
