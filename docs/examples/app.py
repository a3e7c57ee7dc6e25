"""An app that reserves credits, calls a model, and settles what the call really used."""
import json, os, time, uuid
from urllib.request import Request, urlopen
from urllib.error import HTTPError

URL, KEY = os.environ["TALLY_URL"], open(os.environ["TALLY_KEY_FILE"]).read().strip()

def tally(method, path, body=None, key=None):
    headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json", "prefer": "wait=5"}
    if key:
        headers["idempotency-key"] = key  # the same request again gets the same answer
    data = None if body is None else json.dumps(body).encode()
    try:
        with urlopen(Request(URL + path, data, headers, method=method)) as answer:
            return answer.status, json.load(answer)
    except HTTPError as refused:
        return refused.code, json.load(refused)

def ask(account, prompt, call_model):
    request = str(uuid.uuid4())
    items = [{"model": "gpt-4o", "provider": "openai", "input_characters": len(prompt), "max_output_tokens": 500}]
    status, hold = tally("POST", "/v1/holds", {"account": account, "feature": "chat", "items": items}, request)
    if status == 402:
        return f"out of credits: {hold['shortfall']} more are needed ({hold['limit']}, resets at {hold['resets_at']})"
    text, tokens = call_model(prompt)
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    tally("POST", "/v1/events", {
        "specversion": "1.0", "type": "tally.usage.v1", "source": "/app", "id": request, "time": now, "subject": account,
        "data": {"feature": "chat", "hold": hold["hold"], "items": [{"model": "gpt-4o", "provider": "openai", "tokens": tokens}]},
    })  # settles the hold: what was not used is free again
    return text

if __name__ == "__main__":
    print(ask("acct_42", "Why is the sky blue?", lambda prompt: ("Rayleigh scattering.", {"input": 6, "output": 4})))
    print(json.dumps(tally("GET", "/v1/accounts/acct_42/balance?consistency=strict")[1], indent=2))
