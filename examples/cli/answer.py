"""A program of the command line: it signs in once, and asks an app behind Mana Edge. answer.py [path]"""

import getpass
import json
import os
import pathlib
import sys
import time
import urllib.error
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "clients" / "python"))
import manaid  # noqa: E402

base, site = os.environ["MANA_URL"], os.environ["MANA_SITE"]
kept = pathlib.Path(os.environ.get("XDG_STATE_HOME", pathlib.Path.home() / ".local" / "state")) / "answer.json"

# region tokens
edge = manaid.Client(base)


def keep(tokens):
    kept.parent.mkdir(parents=True, exist_ok=True)
    with open(os.open(kept, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(tokens, file)
    return tokens["accessToken"]


def sign_in():
    email = os.environ.get("MANA_EMAIL") or input("E-mail: ")
    return keep(edge.login(email, os.environ.get("MANA_PASSWORD") or getpass.getpass()))


def renew():
    try:
        return keep(edge.refresh(json.loads(kept.read_text())["refreshToken"]))  # good once: the next one is kept
    except (OSError, ValueError, manaid.Unauthorized):
        return sign_in()


# endregion


# region ask
def ask(path, token, renewed=False):
    request = urllib.request.Request(site + path, headers={"Authorization": "Bearer " + token})
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as refused:
        if refused.code == 401 and not renewed:
            return ask(path, renew(), renewed=True)
        if refused.code == 402:
            lacks = json.load(refused)["details"]
            sys.exit(f"this costs {lacks['requiredCredits']} credits, you have {lacks['availableCredits']}: {base}/account/credits")
        if refused.code != 429:
            raise
        time.sleep(int(refused.headers["Retry-After"]))
        return ask(path, token, renewed)


# endregion

if __name__ == "__main__":
    # An API key (`sk_live_…`) is a token that needs no sign-in, for programs that run alone.
    token = os.environ.get("MANA_API_KEY") or (json.loads(kept.read_text())["accessToken"] if kept.exists() else sign_in())
    print(ask(sys.argv[1] if len(sys.argv) > 1 else "/", token), end="")
