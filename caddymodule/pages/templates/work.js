(async () => {
  const note = document.getElementById("work"), form = document.getElementById("guarded");
  if (!note || !form || !window.crypto || !crypto.subtle) return;
  const c = JSON.parse(note.dataset.challenge), encoder = new TextEncoder();
  const target = c.challenge.match(/../g).map((digits) => parseInt(digits, 16));
  let done = false, waiting = false;
  note.textContent = note.dataset.busy;
  form.addEventListener("submit", (event) => {
    if (!done) { event.preventDefault(); waiting = true; }
  });
  for (let number = 0; number <= c.maxnumber; number++) {
    const sum = new Uint8Array(await crypto.subtle.digest(c.algorithm, encoder.encode(c.salt + number)));
    if (sum[0] === target[0] && sum.every((byte, i) => byte === target[i])) {
      document.getElementById("altcha").value = btoa(JSON.stringify({
        algorithm: c.algorithm, challenge: c.challenge, number, salt: c.salt, signature: c.signature,
      }));
      break;
    }
  }
  done = true;
  note.textContent = note.dataset.done;
  if (waiting) form.requestSubmit();
})();
