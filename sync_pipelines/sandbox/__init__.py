"""Look-alikes of every vendor, by the vendors' documentation, with their quotas, odd shapes, delays and failures.

Imports nothing of the product, so that client and sandbox cannot share a misunderstanding.
"""
