(() => {
  const routes = [...document.querySelectorAll("details.route")].map((element) => ({ element, text: element.textContent.toLowerCase() }));
  const find = document.getElementById("find"), found = document.getElementById("found"), blank = document.getElementById("try");
  if (!find || !blank) return;
  const says = blank.dataset;

  find.closest("[hidden]").hidden = false;
  find.addEventListener("input", () => {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const { element, text } of routes) {
      element.hidden = !words.every((word) => text.includes(word));
      count += element.hidden ? 0 : 1;
    }
    for (const group of document.querySelectorAll(".group")) group.hidden = !group.querySelector("details:not([hidden])");
    found.textContent = words.length ? says.found.replace("{n}", count) : "";
  });

  let description = null, bearer = null;
  const operation = async (route) => {
    description ??= fetch("/api/v1/openapi.json").then((answer) => answer.json()).catch((problem) => {
      description = null;
      throw problem;
    });
    return (await description).paths[route.dataset.path][route.dataset.method.toLowerCase()];
  };
  // The sign-on cookie, which no script can read, gives an access token that this page keeps in memory.
  const token = async () => {
    if (bearer && bearer.until > Date.now()) return bearer.token;
    const answer = await fetch("/api/v1/auth/session-to-token", { method: "POST", credentials: "same-origin" });
    if (!answer.ok) return null;
    const { accessToken, expiresIn } = await answer.json();
    bearer = { token: accessToken, until: Date.now() + (expiresIn - 30) * 1000 };
    return accessToken;
  };

  const labelled = (text, input) => {
    const label = document.createElement("label");
    label.append(text, input);
    return label;
  };
  const prepare = (route) => {
    const form = blank.content.firstElementChild.cloneNode(true);
    let ready = null;
    const filled = () => (ready ??= fill(route, form.querySelector(".inputs")).catch((problem) => {
      ready = null;
      throw problem;
    }));
    const fail = (problem) => show(form, String(problem.message), "");
    // Before the fields are there, too: else the browser would send the form by itself and leave the page.
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      filled().then(() => form.reportValidity() && send(route, form)).catch(fail);
    });
    route.querySelector(".place").replaceChildren(form);
    filled().catch(fail);
  };
  const fill = async (route, fields) => {
    const { parameters = [], requestBody } = await operation(route);
    for (const parameter of parameters) {
      const input = document.createElement("input");
      Object.assign(input, { name: parameter.name, required: parameter.required, autocomplete: "off", spellcheck: false });
      input.dataset.in = parameter.in;
      if (parameter.required && parameter.example !== undefined) input.value = parameter.example;
      fields.append(labelled(parameter.name, input));
    }
    const media = requestBody && requestBody.content["application/json"];
    if (media) {
      const area = document.createElement("textarea");
      Object.assign(area, { name: "", rows: 8, spellcheck: false, value: JSON.stringify(media.example ?? {}, null, 2) });
      area.dataset.in = "body";
      fields.append(labelled(says.body, area));
    }
  };

  const show = (form, outcome, body) => {
    form.querySelector(".outcome").textContent = outcome;
    const shown = form.querySelector("pre");
    shown.textContent = body;
    shown.hidden = body === "";
  };
  const send = async (route, form) => {
    const { method, access } = route.dataset;
    if (method !== "GET" && !confirm(says.confirm)) return;
    let path = route.dataset.path, body;
    const query = new URLSearchParams(), headers = {};
    for (const field of form.querySelectorAll("[data-in]")) {
      const { value, name } = field, place = field.dataset.in;
      if (place === "path") path = path.replace("{" + name + "}", encodeURIComponent(value));
      else if (place === "query" && value) query.append(name, value);
      else if (place === "header" && value) headers[name] = value;
      else if (place === "body") {
        body = JSON.stringify(JSON.parse(value));
        headers["Content-Type"] = "application/json";
      }
    }
    if (access === "bearer") {
      const access = await token();
      if (!access) return show(form, says.signin, "");
      headers.Authorization = "Bearer " + access;
    }
    const began = performance.now();
    const answer = await fetch(path + (query.size ? "?" + query : ""), { method, headers, body, credentials: "same-origin", redirect: "manual" });
    let text = await answer.text();
    try { text = JSON.stringify(JSON.parse(text), null, 2); } catch { /* is no JSON */ }
    show(form, answer.status + " " + answer.statusText + ", " + Math.round(performance.now() - began) + " ms", text);
  };

  for (const { element } of routes) {
    if (!element.dataset.access) continue;
    element.addEventListener("toggle", () => {
      if (element.open && !element.querySelector("form")) prepare(element);
    });
  }
})();
