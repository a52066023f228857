from tests.landscape.forms import form

__all__ = ["form"]
