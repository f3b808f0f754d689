from . import cart, plans
