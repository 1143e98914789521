"""The allowlist for masking: the keys, values of certain keys, and words that are not masked."""

import re

from shared.tables.registry import TABLES

COLUMNS = [column for table in TABLES.values() for column in table.columns]

NAMES = {
    *("category", "operationname", "eventname", "location", "region", "level", "sku", "type", "resulttype"),
    *("sourcesystem", "metricname", "unit", "timegrain", "method", "backendmethod", "clientprotocol"),
    *("backendprotocol", "clienttlsversion", "cache", "deploymentversion", "operationversion", "_isbillable"),
}
"""Keys whose values are names that Azure assigns. A value stays if it looks like such a name."""
TEXTS = {
    *("error", "errormessage", "message", "reason", "description", "resultdescription", "status", "state"),
    *("source", "destination", "lasterrormessage", "lasterrorreason", "lasterrorsource", "closestatus"),
    *("lasterrorsection", "statusdescription", "closestatusdescription", "statustext", "exception"),
}
"""Keys whose values are text in which the words of WORDS stay."""
NUMBERS = {
    *("durationms", "_billedsize", "responsecode", "backendresponsecode", "requestsize", "responsesize"),
    *("backendtime", "clienttime", "cachetime", "truncated", "count", "total", "minimum", "maximum"),
}
"""Keys whose values are measurements; their numbers stay, regardless of their length."""
TIMES = {
    *("time", "timegenerated", "timestamp", "eventtimestamp", "@timestamp"),
    *("eventprocessedutctime", "eventenqueuedutctime"),
}
KEYS = {
    *(*NAMES, *TEXTS, *NUMBERS, *TIMES),
    *("records", "properties", "partitionid", "isrequestsuccess", "calleripaddress", "url", "apiid"),
    *(key.rpartition(".")[2].lower() for one in COLUMNS for key in one.resource_log),
    *(one.table_form.lower() for one in COLUMNS if one.table_form),
}
"""Documented keys of this category and of its sibling GatewayLogs, in lower case."""

WORDS = frozenset(
    re.findall(
        r"\w+",
        """
        a abnormal aborted after an and api apim are at authentication authorization azure backend bad be
        because been before body buffer by bytes can canceled cancelled cannot certificate client clients
        close closed closes closing code connect connected connecting connection connections control could
        data denied destination did disconnect disconnected disposed dns endpoint error errors established
        exceeded exception expected expired fail failed failure find for forbidden forcibly forwarded found
        frame from frontend gateway going gone handshake has have header host http https idle in inner
        internal internet invalid io is it its key large length limit lost management max maximum message
        messages microsoft must net no normal not object of on open opened operation or payload peer policy
        port prematurely proxy quota rate reached read received refused reject rejected remote request reset
        resolve resource response retry secure server service session shutdown size socket sockets source
        ssl status system terminated the timed timeout tls to too transfer transport unable unauthorized
        unavailable unexpected unexpectedly unknown unreachable unsupported upgrade upstream version
        violation was web websocket while with without write ws wss
        """,
    )
)
"""Words in error messages that identify nobody."""
