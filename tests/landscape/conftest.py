from tests.landscape.forms import form
from tests.landscape.published import akamaster, cifar_images

__all__ = ["akamaster", "cifar_images", "form"]
