"""Networks from other papers that attention is added to, or that tables compare with."""
