"""The figure of ULSAM, WACV 2020, that shows where MobileNets look."""

from gradscape.data.pictures import Pictures
from gradscape.explain.cam import heatmaps
from gradscape.figures.images.explained_images import figure_explained_images
from gradscape.models.ulsam import ULSAM
from gradscape.studies.papers.checkpoints import Models
from gradscape.studies.papers.exhibits import PictureExhibit
from gradscape.studies.papers.figure import Drawing, PaperFigure
from gradscape.studies.papers.from_networks import NetworkFigure, heatmap_arrays
from gradscape.studies.papers.wording import as_in_the_paper, readable

__all__ = ["FIGURES", "HEATMAPS"]

_SHORT = {"mobilenet_v1": "MV1", "mobilenet_v2": "MV2", "cifar_mobilenet_v2": "MV2", "ulsam": "ULSAM"}


def _draw_heatmaps(models: Models, pictures: Pictures, _seed: int) -> Drawing:
    maps = {
        title: heatmaps(model, pictures.images.to(model.mean.device), method="gradcam++")
        for title, model in models.items()
    }
    titles = as_in_the_paper(models, _SHORT)
    page = figure_explained_images(
        pictures.images,
        {titles[title]: one for title, one in maps.items()},
        names=[readable(name) for name in pictures.names],
        labels={titles[title]: model.labels for title, model in models.items()},
    )
    return Drawing(page, heatmap_arrays(maps))


HEATMAPS = NetworkFigure(
    title="Grad-CAM++ and masked images, MobileNets with and without ULSAM",
    original="MobileNets and four birds of CUB-200: painted bunting, hooded oriole, scarlet tanager, Bohemian waxwing",
    networks=(
        "mobilenet_v1",
        "mobilenet_v1+ulsam@after=8:9,replace=11",
        "mobilenet_v2",
        "mobilenet_v2+ulsam@replace=14:17",
    ),
    exhibit=PictureExhibit(usual=4, most=8),
    draw=_draw_heatmaps,
    attention=(ULSAM,),
    training="--data folder:BIRDS --image-size 224",
)

FIGURES: dict[str, PaperFigure] = {
    "ulsam:3": HEATMAPS,
}
