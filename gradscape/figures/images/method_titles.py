"""What the papers of class activation maps call their methods."""

__all__ = ["method_title"]

_TITLES = {
    "ablationcam": "Ablation-CAM",
    "eigencam": "Eigen-CAM",
    "eigengradcam": "Eigen-Grad-CAM",
    "elementwise": "Grad-CAM, element-wise",
    "finercam": "Finer-CAM",
    "fullgrad": "FullGrad",
    "gradcam": "Grad-CAM",
    "gradcam++": "Grad-CAM++",
    "hirescam": "HiResCAM",
    "kpcacam": "KPCA-CAM",
    "layercam": "LayerCAM",
    "scorecam": "Score-CAM",
    "shapleycam": "ShapleyCAM",
    "xgradcam": "XGrad-CAM",
}


def method_title(method: str) -> str:
    """Return a method's name as its paper has it, and any other name as it is.

    Args:
        method: As `heatmaps` names it, with `@` and a layer behind it where there are several layers.

    Example:
        >>> method_title("gradcam++"), method_title("gradcam@layer4"), method_title("mine")
        ('Grad-CAM++', 'Grad-CAM@layer4', 'mine')
    """
    name, at, layer = method.partition("@")
    return f"{_TITLES.get(name, name)}{at}{layer}"
