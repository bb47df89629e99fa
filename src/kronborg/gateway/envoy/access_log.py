"""The access log: one JSON line for each request that a listener answered, in a file that `traffic` reads.

Only what an `AccessRecord` has is written: no query, cookie, token or body. Envoy escapes every value, so a line is
one line whatever a caller sends. Who called is read from headers that the `jwt` filter alone writes, from verified
claims; what came in under their names was taken away at the door.
"""

from __future__ import annotations

from pathlib import Path

from kronborg.core.json import JsonObject
from kronborg.gateway.envoy.filters import bots, jwt, spike_arrest
from kronborg.gateway.envoy.proxy import Proxy
from kronborg.gateway.envoy.resource import typed
from kronborg.gateway.model import Snapshot

FLUSH = ("--file-flush-interval-msec", "500")
"""For Envoy's command line: a killed proxy loses the lines of at most this long, or 64 KiB of them."""

LONGEST_PATH = 1024
LONGEST_AGENT = 256
_LONGEST_NAME = 256
_LONGEST_SCOPES = 1024


def path_of(proxy: Proxy) -> Path:
    """The file that Envoy appends to, in a folder of its own: Envoy looks at what is renamed in the proxy's."""
    return proxy.folder / "log" / "access.log"


def access_log(proxy: Proxy, *, listener: str = "gateway", trial: bool = False, reports: bool = False) -> JsonObject:
    """The access logger of a listener; `listener` is its name in the records. A trial leaves the file alone.

    With `reports` lines say what rules that only report would have refused.
    """
    fields = {**FIELDS, **REPORTED} if reports else FIELDS
    return {
        "name": "records",
        "typed_config": typed(
            "envoy.extensions.access_loggers.file.v3.FileAccessLog",
            path="/dev/null" if trial else str(path_of(proxy)),
            # What is not there is left out: a line is a fifth shorter, and every 4 KiB of them is a call of the kernel.
            log_format={"json_format": {**fields, "l": listener}, "omit_empty_values": True},
        ),
    }


def _header(name: str, longest: int = _LONGEST_NAME) -> str:
    return f"%REQ({name.upper()}):{longest}%"


FIELDS = {
    # The request id, which was made here: one from outside is stripped.
    "j": "%STREAM_ID%",
    "t": "%START_TIME(%s%6f)%",
    "h": _header(":authority"),
    "m": "%REQ(:METHOD):16%",
    "p": f"%PATH(NQ:ORIG_OR_PATH):{LONGEST_PATH}%",
    "r": "%ROUTE_NAME%",
    "s": "%UPSTREAM_CLUSTER%",
    "c": "%RESPONSE_CODE%",
    "d": "%RESPONSE_CODE_DETAILS%",
    "f": "%RESPONSE_FLAGS%",
    "w": "%DYNAMIC_METADATA(kronborg:reason)%",
    "k": _header(jwt.CLIENT),
    "u": _header(jwt.SUBJECT),
    "jt": _header(jwt.TOKEN),
    "si": _header(jwt.SESSION),
    "gi": _header(jwt.GRANT),
    "ke": _header("x-kronborg-key"),
    "sh": _header(spike_arrest.SHADOW),
    "sc": _header(jwt.SCOPE, _LONGEST_SCOPES),
    "a": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
    "ua": _header("user-agent", LONGEST_AGENT),
    "pr": "%PROTOCOL%",
    "tp": _header("traceparent", 55),
    "uh": "%UPSTREAM_HOST%",
    "n": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
    "du": "%COMMON_DURATION(DS_RX_BEG:DS_TX_END:us)%",
    "us": "%COMMON_DURATION(US_TX_BEG:US_RX_END:us)%",
    "bi": "%BYTES_RECEIVED%",
    "bo": "%BYTES_SENT%",
}
"""What each line says, by short names, of what there is: they are written and read for every request."""

REPORTED = {
    "rp": "%DYNAMIC_METADATA(kronborg:reported)%",
    "rb": f"%DYNAMIC_METADATA(envoy.filters.http.rbac:{bots.SHADOW}shadow_effective_policy_id)%",
}
"""What lines say besides where some rule only reports."""


def reports(snapshot: Snapshot) -> bool:
    """Whether some rule of this snapshot only reports."""
    asked = [snapshot.bots, *(route.bots for route in snapshot.routes)]
    contents = [route.content for route in snapshot.routes]
    return any(one is not None and one.mode == "report" for one in asked) or any(
        one is not None and one.validate == "report" for one in contents
    )
