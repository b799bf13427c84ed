"""Puts what is there into the OpenAPI document of a node, so that requests made from it hit rows: hack/schemathesis.sh.

Arguments: a position that the node has, and a continuation of billing.plans. Without arguments nothing is changed.
"""

import json
import sys

BODIES = {
    "getRows": [{"keys": [["free"], ["nobody"]]}, {"keys": [["acme", "storage_bytes"]]}],
    "getRowByKey": [{"key": [{"value": "free"}]}, {"Key": [{"Value": "acme"}, {"Value": "storage_bytes"}]}],
    "getRowsByKeyPrefix": [{}, {"key": [{"value": "acme"}]}],
}


def seed(operation, parameters):
    for parameter in operation["parameters"]:
        if parameter["name"] in parameters:
            parameter["schema"] = {"type": "string", "enum": parameters[parameter["name"]]}
    if operation["operationId"] in BODIES:
        content = operation["requestBody"]["content"]["application/json"]
        content["schema"] = {"anyOf": [{"enum": BODIES[operation["operationId"]]}, content["schema"]]}


document = json.load(sys.stdin)
if sys.argv[1:]:
    position, continuation = sys.argv[1:]
    # Of examples/billing, and a little of what is not there.
    parameters = {
        "family": ["billing", "Billing", "nobody"],
        "table": ["plans", "quotas", "nothing"],
        "key": ["free", "team", "acme", "nobody"],
        "columns": ["id", "plan_id", "id,price"],
        "min-position": [position],
        "continue": [continuation],
    }
    for path in document["paths"].values():
        for operation in path.values():
            seed(operation, parameters)
json.dump(document, sys.stdout)
