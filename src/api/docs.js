"use strict";
const element = (name, attributes = {}, ...children) => {
  const made = Object.assign(document.createElement(name), attributes);
  made.append(...children);
  return made;
};
let api;
const resolve = schema => schema && schema.$ref ? { name: schema.$ref.split("/").pop(), ...api.components.schemas[schema.$ref.split("/").pop()] } : schema || {};
const typeOf = raw => {
  const schema = resolve(raw);
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.join(" | ");
  const options = schema.properties ? null : schema.anyOf || schema.oneOf;
  if (options) return [...new Set(options.map(typeOf))].join(" or ");
  if (schema.type === "array" || (Array.isArray(schema.type) && schema.type.includes("array"))) return "list of " + typeOf(schema.items);
  const type = Array.isArray(schema.type) ? schema.type.filter(t => t !== "null").join(" or ") : schema.type || "any";
  return [raw && raw.$ref ? schema.name : type, schema.format].filter(Boolean).join(", ");
};
const inner = raw => {
  const schema = resolve(raw);
  if (schema.properties) return schema;
  const option = (schema.anyOf || schema.oneOf || []).map(inner).find(Boolean);
  if (option) return option;
  if (schema.items) return inner(schema.items);
  return schema.properties ? schema : null;
};
// Types nest without end only by mistake: four levels show everything there is.
const fields = (schema, depth = 0) => {
  const list = element("ul", { className: "fields" });
  for (const [name, property] of Object.entries(schema.properties || {})) {
    const required = (schema.required || []).includes(name);
    const item = element("li", {}, element("code", { className: required ? "required" : "", textContent: name }), " ",
      element("span", { className: "type", textContent: typeOf(property) }));
    const about = property.description || resolve(property).description;
    if (about) item.append(element("span", { className: "what", textContent: " · " + about }));
    const below = inner(property);
    if (below && depth < 4) item.append(fields(below, depth + 1));
    list.append(item);
  }
  return list;
};
const bodyOf = content => {
  const [type, media] = Object.entries(content || {})[0] || [];
  const shape = media && inner(media.schema);
  const example = media && media.example !== undefined
    ? element("details", { className: "example" }, element("summary", { textContent: "Example" }), element("pre", { textContent: JSON.stringify(media.example, null, 2) }))
    : "";
  return element("div", {}, element("code", { textContent: type || "" }), example, shape ? fields(shape) : "");
};
// A request as curl, with what the description gives as examples.
const quoted = text => `'${text.replaceAll("'", "'\\''")}'`;
const exampleOf = operation => Object.values((operation.requestBody || {}).content || {}).map(media => media.example).find(example => example !== undefined);
const keyOf = () => document.getElementById("key").value.trim();
const curlOf = (path, method, operation) => {
  const example = exampleOf(operation);
  const lines = [`curl ${method === "get" ? "" : `-X ${method.toUpperCase()} `}${quoted(location.origin + path)}`, `  -H ${quoted(`Authorization: Bearer ${keyOf() || "YOUR_API_KEY"}`)}`];
  if (operation.requestBody) lines.push("  -H 'Content-Type: application/json'", `  -d ${quoted(JSON.stringify(example === undefined ? {} : example))}`);
  return lines.join(" \\\n");
};
// Sends a request that only reads, with the values of its parameters.
const tryIt = (path, operation) => {
  const inputs = (operation.parameters || []).filter(one => one.in !== "header").map(one => [one, element("input", { name: one.name, placeholder: one.name, ariaLabel: one.name, required: !!one.required })]);
  const answer = element("pre", { className: "answer", hidden: true, tabIndex: 0 });
  const form = element("form", { className: "try" }, ...inputs.map(([, input]) => input), element("button", { textContent: "Send" }));
  form.addEventListener("submit", async event => {
    event.preventDefault();
    const query = new URLSearchParams(inputs.filter(([one, input]) => one.in === "query" && input.value).map(([one, input]) => [one.name, input.value]));
    const filled = inputs.filter(([one]) => one.in === "path").reduce((text, [one, input]) => text.replace(`{${one.name}}`, encodeURIComponent(input.value)), path);
    answer.hidden = false;
    answer.textContent = "…";
    try {
      const response = await fetch(filled + (query.size ? `?${query}` : ""), { headers: keyOf() ? { Authorization: `Bearer ${keyOf()}` } : {} });
      const text = await response.text();
      let shown = text;
      try { shown = JSON.stringify(JSON.parse(text), null, 2); } catch { /* Not every answer is JSON. */ }
      answer.textContent = `${response.status} ${response.statusText}\n${shown.slice(0, 20000)}`;
    } catch (error) {
      answer.textContent = `The server cannot be reached: ${error.message}`;
    }
  });
  return element("div", {}, form, answer);
};
const show = (path, method, operation, isWebhook) => {
  const body = element("div", { className: "body" });
  if (operation.description && operation.description !== operation.summary) body.append(element("p", { textContent: operation.description }));
  if ((operation.parameters || []).length) {
    const rows = operation.parameters.map(p => element("tr", {}, element("td", {}, element("code", { className: p.required ? "required" : "", textContent: p.name })),
      element("td", { textContent: p.in }), element("td", { textContent: typeOf(p.schema) }), element("td", { textContent: p.description || "" })));
    body.append(element("h3", { textContent: "Parameters" }), element("table", {}, ...rows));
  }
  if (operation.requestBody) body.append(element("h3", { textContent: "Body" }), bodyOf(operation.requestBody.content));
  for (const [status, response] of Object.entries(operation.responses)) {
    body.append(element("h3", { textContent: `${status} · ${response.description || ""}` }), bodyOf(response.content));
  }
  if (!isWebhook) {
    const curl = element("pre", { textContent: curlOf(path, method, operation), tabIndex: 0 });
    document.getElementById("key").addEventListener("input", () => { curl.textContent = curlOf(path, method, operation); });
    body.prepend(element("h3", { textContent: "curl" }), curl, ...(method === "get" ? [element("h3", { textContent: "Try it" }), tryIt(path, operation)] : []));
  }
  const made = element("details", { id: operation.operationId || path }, element("summary", {},
    element("span", { className: `method ${method}`, textContent: method.toUpperCase() }), element("code", { textContent: path }),
    element("span", { className: "what", textContent: operation.summary || "" })), body);
  made.dataset.name = `${method} ${path} ${operation.summary || ""}`.toLowerCase();
  made.dataset.text = `${made.dataset.name} ${body.textContent}`.toLowerCase();
  return made;
};
// Every word must occur: in method, path and summary, or else, where no endpoint has them there, anywhere in its fields.
const search = text => {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const all = [...document.querySelectorAll("main details[data-text]")];
  const having = where => all.filter(one => words.every(word => one.dataset[where].includes(word)));
  const named = having("name");
  const shown = new Set(named.length ? named : having("text"));
  const found = shown.size;
  for (const one of all) one.hidden = !shown.has(one);
  for (const group of document.querySelectorAll("main section")) group.hidden = !group.querySelector("details[data-text]:not([hidden])");
  document.getElementById("found").textContent = words.length ? `${found} found` : "";
};
fetch("/api/v1/openapi.json").then(response => response.json()).then(document_ => {
  api = document_;
  document.getElementById("about").textContent = `${api.info.description} Version ${api.info.version}.`;
  const groups = {};
  for (const [path, item] of Object.entries(api.paths).filter(([path]) => path.startsWith("/api/"))) {
    for (const [method, operation] of Object.entries(item)) (groups[operation.tags[0]] ||= []).push([path, method, operation]);
  }
  const group = (tag, title, operations) => {
    document.getElementById("nav").append(element("a", { href: "#" + tag, textContent: title }));
    document.getElementById("main").append(element("section", {}, element("h2", { id: tag, textContent: title }), ...operations));
  };
  for (const [tag, operations] of Object.entries(groups)) group(tag, tag.replace("-", " "), operations.map(one => show(...one)));
  const hooks = Object.entries(api.webhooks || {}).flatMap(([name, item]) => Object.entries(item).map(([method, operation]) => show(name, method, operation, true)));
  if (hooks.length) group("webhook-messages", "webhooks sent to you", hooks);
  document.getElementById("search").addEventListener("input", event => search(event.target.value));
  // A link to an operation opens it.
  const open = () => {
    const wanted = document.getElementById(location.hash.slice(1));
    if (wanted) { wanted.open = true; wanted.scrollIntoView(); }
  };
  addEventListener("hashchange", open);
  open();
}).catch(error => { document.getElementById("about").textContent = `The description cannot be read: ${error}`; });
