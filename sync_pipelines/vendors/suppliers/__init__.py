"""Suppliers (BigBuy, AliExpress, …): products, stock, prices, order status, by one connector each."""
