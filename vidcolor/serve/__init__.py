"""`vidcolor serve`: films and stills over HTTP, and a page for them. Needs the extra `serve`.

Only this room knows FastAPI. The server itself never opens media and loads no torch: a worker
process colors (`worker`), and short-lived children with limits look at what was uploaded (`look`).
"""
