from tests.landscape.forms import form
from tests.landscape.published import akamaster, test_images

__all__ = ["akamaster", "form", "test_images"]
