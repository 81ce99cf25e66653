(() => {
	"use strict";
	const form = document.querySelector("form[data-passkey]");
	const lacking = document.querySelector("[data-passkey-lacking]");
	if (!form) return;
	if (!window.PublicKeyCredential || !navigator.credentials) {
		if (lacking) lacking.hidden = false;
		return;
	}
	const making = form.dataset.passkey === "create";
	const note = form.querySelector("[role=alert]");
	const button = form.querySelector("button");
	const bytes = text => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), c => c.charCodeAt(0));
	const text = buffer => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
	let waiting = null; // the request of the browser's own suggestions

	async function options() {
		const answer = await fetch(form.dataset.options, {
			method: "POST", headers: { "Content-Type": "application/json" }, body: form.dataset.body || "{}",
		});
		const o = await answer.json();
		if (!answer.ok) throw { code: o.code };
		o.challenge = bytes(o.challenge);
		if (o.user) o.user.id = bytes(o.user.id);
		for (const c of [...(o.allowCredentials || []), ...(o.excludeCredentials || [])]) c.id = bytes(c.id);
		return o;
	}

	function send(credential) {
		const r = credential.response;
		const response = { clientDataJSON: text(r.clientDataJSON) };
		for (const part of ["attestationObject", "authenticatorData", "signature", "userHandle"]) {
			if (r[part]) response[part] = text(r[part]);
		}
		if (making) {
			delete response.authenticatorData;
			response.transports = r.getTransports ? r.getTransports() : [];
		}
		form.elements.response.value = JSON.stringify({
			id: credential.id, rawId: text(credential.rawId), type: credential.type, response,
			authenticatorAttachment: credential.authenticatorAttachment || undefined,
			clientExtensionResults: credential.getClientExtensionResults(),
		});
		form.submit();
	}

	function say(e) {
		const known = { NotAllowedError: "cancelled", InvalidStateError: "exists", RATE_LIMITED: "limited", TWO_FACTOR_EXPIRED: "over" };
		note.textContent = form.dataset[known[e.code] || known[e.name]] || form.dataset.failed;
		note.hidden = false;
		button.disabled = false;
	}

	async function stop() {
		if (!waiting) return;
		const { control, over } = waiting;
		waiting = null;
		control.abort();
		await over;
	}

	// The browser offers passkeys where the address is typed. What it was given is good
	// for five minutes, and until another page asks.
	async function suggest() {
		await stop();
		const control = new AbortController();
		try {
			const publicKey = await options();
			const over = navigator.credentials.get({ publicKey, mediation: "conditional", signal: control.signal }).then(send, () => {});
			waiting = { control, over };
		} catch { /* the button will say why */ }
	}

	form.hidden = false;
	form.addEventListener("submit", async event => {
		event.preventDefault();
		note.hidden = true;
		button.disabled = true;
		try {
			await stop();
			const publicKey = await options();
			send(making ? await navigator.credentials.create({ publicKey }) : await navigator.credentials.get({ publicKey }));
		} catch (e) {
			if (e.code === "REAUTHENTICATION_REQUIRED" || e.code === "NO_SESSION") {
				location.assign("/reauthenticate?returnUrl=" + encodeURIComponent(location.pathname));
				return;
			}
			say(e);
			if (form.dataset.suggest) suggest();
		}
	});
	window.addEventListener("pageshow", () => { button.disabled = false; });
	if (form.dataset.suggest && PublicKeyCredential.isConditionalMediationAvailable) {
		PublicKeyCredential.isConditionalMediationAvailable().then(can => {
			if (!can) return;
			suggest();
			setInterval(() => { if (waiting) suggest(); }, 240000);
			document.addEventListener("visibilitychange", () => { if (!document.hidden && waiting) suggest(); });
		});
	}
})();
