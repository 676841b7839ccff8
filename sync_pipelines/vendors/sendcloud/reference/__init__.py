"""What an account may choose from: carriers, contracts, methods, options, sender addresses, shop connections."""
