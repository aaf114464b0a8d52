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
const show = (path, method, operation) => {
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
  return element("details", { id: operation.operationId }, element("summary", {},
    element("span", { className: `method ${method}`, textContent: method.toUpperCase() }), element("code", { textContent: path }),
    element("span", { className: "what", textContent: operation.summary || "" })), body);
};
fetch("/api/v1/openapi.json").then(response => response.json()).then(document_ => {
  api = document_;
  document.getElementById("about").textContent = `${api.info.description} Version ${api.info.version}.`;
  const groups = {};
  for (const [path, item] of Object.entries(api.paths).filter(([path]) => path.startsWith("/api/"))) {
    for (const [method, operation] of Object.entries(item)) (groups[operation.tags[0]] ||= []).push([path, method, operation]);
  }
  for (const [tag, operations] of Object.entries(groups)) {
    document.getElementById("nav").append(element("a", { href: "#" + tag, textContent: tag.replace("-", " ") }));
    document.getElementById("main").append(element("h2", { id: tag, textContent: tag.replace("-", " ") }), ...operations.map(one => show(...one)));
  }
  // A link to an operation opens it.
  const open = () => {
    const wanted = document.getElementById(location.hash.slice(1));
    if (wanted) { wanted.open = true; wanted.scrollIntoView(); }
  };
  addEventListener("hashchange", open);
  open();
}).catch(error => { document.getElementById("about").textContent = `The description cannot be read: ${error}`; });
