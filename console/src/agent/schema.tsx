// A builder for JSON schemas of flat objects. What it does not know stays as it is, so both ways lose nothing.

import { useId, useState } from "preact/hooks";
import { t } from "../i18n";
import { Button } from "../ui";
import { Entries, Json } from "./fields";
import type { Block } from "./values";

export type FieldType = "string" | "number" | "integer" | "boolean" | "choice" | "strings" | "date" | "datetime" | "json";

export interface SchemaField {
  name: string;
  type: FieldType;
  required: boolean;
  /** The schema of the field, with all that the builder does not show. */
  schema: Block;
}

export const TYPES: [FieldType, string][] = [["string", "text"], ["number", "number"], ["integer", "whole number"], ["boolean", "yes or no"], ["choice", "one of a few"], ["date", "date"], ["datetime", "date and time"], ["strings", "list of texts"], ["json", "something else (JSON)"]];

const isObject = (value: unknown): value is Block => typeof value === "object" && value !== null && !Array.isArray(value);

/** What a schema of a field is, as far as the builder can show it. */
export function typeOf(schema: unknown): FieldType {
  if (!isObject(schema)) return "json";
  const { type, format } = schema;
  if (Array.isArray(schema.enum)) return (type === undefined || type === "string") && schema.enum.every((one) => typeof one === "string") ? "choice" : "json";
  if (type === "string") return format === "date" ? "date" : format === "date-time" ? "datetime" : "string";
  if (type === "number" || type === "integer" || type === "boolean") return type;
  if (type === "array" && isObject(schema.items) && schema.items.type === "string" && Object.keys(schema.items).length === 1) return "strings";
  return "json";
}

/** Keywords of one type only; another type does without them. */
const OF_TYPE = ["type", "format", "enum", "items", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "pattern", "minItems", "maxItems", "uniqueItems", "properties", "required", "additionalProperties", "const"];

/** The schema of a field with another type; what it says for people stays. */
export function withType(schema: Block, type: FieldType): Block {
  const rest = Object.fromEntries(Object.entries(schema).filter(([name]) => !OF_TYPE.includes(name)));
  switch (type) {
    case "choice": return { type: "string", ...rest, enum: [] };
    case "strings": return { type: "array", ...rest, items: { type: "string" } };
    case "date": return { type: "string", ...rest, format: "date" };
    case "datetime": return { type: "string", ...rest, format: "date-time" };
    case "json": return { type: "object", ...rest };
    default: return { type, ...rest };
  }
}

/** The fields of a schema; null if it is no schema of an object with properties, which only JSON can show. */
export function fieldsOf(schema: unknown): SchemaField[] | null {
  if (schema === undefined || schema === null) return [];
  if (!isObject(schema) || (schema.type !== undefined && schema.type !== "object")) return null;
  const { properties = {}, required = [] } = schema;
  if (!isObject(properties) || !Array.isArray(required)) return null;
  if (Object.values(properties).some((one) => !isObject(one))) return null;
  return Object.entries(properties).map(([name, one]) => ({ name, type: typeOf(one), required: required.includes(name), schema: one as Block }));
}

/** The schema with these fields; everything else of it stays, also what is required and described nowhere. */
export function schemaOf(before: unknown, fields: SchemaField[]): Block | undefined {
  const whole = isObject(before) ? before : { type: "object" };
  const named = new Set(Object.keys((whole.properties as Block | undefined) ?? {}));
  const others = ((whole.required ?? []) as unknown[]).filter((name) => !named.has(String(name)));
  const required = [...others, ...fields.filter((field) => field.required).map(({ name }) => name)];
  const { required: _, properties: __, ...rest } = whole;
  const isPlain = Object.keys(rest).every((name) => name === "type");
  if (!fields.length && !required.length && isPlain) return undefined;
  const order = Object.keys(whole);
  const made: Block = { ...rest, properties: Object.fromEntries(fields.map(({ name, schema }) => [name, schema])), ...(required.length ? { required } : {}) };
  return Object.fromEntries(Object.entries(made).sort(([a], [b]) => (order.indexOf(a) + 1 || 99) - (order.indexOf(b) + 1 || 99)));
}

/** A schema in fields, or as JSON. */
export function SchemaBuilder({ label, schema, set, example }: { label: string; schema: unknown; set: (schema: unknown) => void; example: unknown }) {
  const fields = fieldsOf(schema);
  const [asJson, show] = useState(fields === null);
  const id = useId();
  const isJson = asJson || fields === null;
  // Two fields of one name would be one: what is typed stays here until the names differ.
  const [clash, clashing] = useState<SchemaField[] | null>(null);
  const shown = clash ?? fields ?? [];
  const put = (next: SchemaField[]) => {
    const twice = new Set(next.map(({ name }) => name)).size < next.length;
    clashing(twice ? next : null);
    if (!twice) set(schemaOf(schema, next));
  };
  const fresh = (): SchemaField => {
    let number = shown.length + 1;
    while (shown.some(({ name }) => name === `field_${number}`)) number += 1;
    return { name: `field_${number}`, type: "string", required: false, schema: { type: "string" } };
  };
  return (
    <fieldset class="list">
      <legend>{label}</legend>
      <p class="actions">
        <Button kind="quiet" aria-pressed={!isJson} disabled={fields === null} onClick={() => show(false)}>{t("Fields")}</Button>
        <Button kind="quiet" aria-pressed={isJson} onClick={() => show(true)}>JSON</Button>
        {fields === null && <span class="soft">{t("This schema has parts that only JSON can show.")}</span>}
      </p>
      {isJson ? <Json id={id} label={`${label} (JSON Schema)`} value={schema} put={set} rows={10} /> : (
        <Entries list={shown} set={put} entry={t("Field")} title={(one) => one.name || t("Field")} add={fresh}>
          {(one, _, change) => <FieldForm field={one} change={change} />}
        </Entries>
      )}
      {clash && <p class="problem" role="alert">{t("Two fields have the same name: give one of them another.")}</p>}
      {!shown.length && <p><Button onClick={() => set(example)}>{t("Insert an example")}</Button></p>}
    </fieldset>
  );
}

function FieldForm({ field, change }: { field: SchemaField; change: (field: SchemaField) => void }) {
  const id = useId();
  const put = (schema: Block) => change({ ...field, schema });
  const values = (field.schema.enum ?? []) as string[];
  const [typed, type] = useState(values.join(", "));
  const read = (text: string) => text.split(",").map((one) => one.trim()).filter(Boolean);
  return (
    <>
      <div class="grid">
        <div class="field"><label for={`${id}-name`}>{t("Name")}</label><input id={`${id}-name`} required value={field.name} spellcheck={false} onInput={(event) => change({ ...field, name: event.currentTarget.value })} /></div>
        <div class="field"><label for={`${id}-type`}>{t("Type")}</label><select id={`${id}-type`} value={field.type} onChange={(event) => { const next = event.currentTarget.value as FieldType; change({ ...field, type: next, schema: withType(field.schema, next) }); }}>{TYPES.map(([key, name]) => <option key={key} value={key}>{t(name)}</option>)}</select></div>
      </div>
      <div class="field"><label for={`${id}-about`}>{t("What it is")}</label><input id={`${id}-about`} value={String(field.schema.description ?? "")} onInput={(event) => { const { description: _, ...rest } = field.schema; put(event.currentTarget.value ? { ...rest, description: event.currentTarget.value } : rest); }} /></div>
      {field.type === "choice" && <div class="field"><label for={`${id}-values`}>{t("Values, with commas between them")}</label><input id={`${id}-values`} required value={read(typed).join() === values.join() ? typed : values.join(", ")} onInput={(event) => { type(event.currentTarget.value); put({ ...field.schema, enum: read(event.currentTarget.value) }); }} /></div>}
      {field.type === "json" && <Json id={`${id}-json`} label={t("Its schema as JSON")} value={field.schema} put={(schema) => isObject(schema) && change({ ...field, schema, type: "json" })} rows={5} />}
      <label class="check"><input type="checkbox" checked={field.required} onChange={(event) => change({ ...field, required: event.currentTarget.checked })} /> {t("Required")}</label>
    </>
  );
}
