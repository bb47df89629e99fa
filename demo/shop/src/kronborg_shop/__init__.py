"""The demo shop: Danish design goods, sold by five small services that trust Kronborg's tokens.

Each service is one `main.py` with a `build` function; `run.py` starts any of them. The shop imports nothing of
Kronborg but its SDK.
"""
