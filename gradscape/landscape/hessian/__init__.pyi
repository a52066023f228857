from .products import HessianProducts
from .spectrum import Spectrum, hessian_spectrum
from .trace import Trace, hessian_trace

__all__ = [
    "HessianProducts",
    "Spectrum",
    "Trace",
    "hessian_spectrum",
    "hessian_trace",
]
