"""How the peers are started: their defaults, with permessage-deflate where it must be asked for.

Templates as ``conformance.reliability.servers`` takes them. granian has no permessage-deflate.
"""

PEERS = {
    "uvicorn": "{python} -m uvicorn {app} --port {port} --loop uvloop --log-level warning",
    "hypercorn": "{python} -m hypercorn --bind 127.0.0.1:{port} --worker-class uvloop --log-level warning {app}",
    "granian": "{python} -m granian --interface asgi --port {port} --loop uvloop --log-level warning {app}",
    "h2corn": "{python} -m h2corn --host 127.0.0.1 --port {port} --loop uvloop --no-access-log {app}",
    "peregrine": "{python} -m peregrine --protocol asgi --port {port} --log-level warning --ws-compress {app}",
    "socketify": "{python} -m socketify {app} --interface asgi --port {port} --ws-per-message-deflate true",
}
