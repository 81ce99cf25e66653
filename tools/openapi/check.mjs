// Holds an OpenAPI document against what reads such documents: check.mjs <document>
import { readFileSync } from "node:fs";
import SwaggerParser from "@apidevtools/swagger-parser";
import Ajv from "ajv/dist/2020.js";
import addFormats from "ajv-formats";

const path = process.argv[2];
await SwaggerParser.validate(path);
const document = JSON.parse(readFileSync(path, "utf8"));
// A required property may be declared beside the anyOf that requires it.
const ajv = new Ajv({ strict: true, strictTypes: false, strictRequired: false, allErrors: true });
addFormats(ajv);
for (const word of ["example", "xml", "externalDocs", "discriminator", "components"]) ajv.addKeyword(word);
ajv.addSchema({ $id: "document", components: document.components }, "document");

const faults = [];
let count = 0;
const compiled = new Map();

/** Schemas may name others of the document: they are compiled inside it. */
function holds(where, schema, value) {
	count++;
	const text = JSON.stringify(schema).replaceAll('"#/components/', '"document#/components/');
	try {
		if (!compiled.has(text)) compiled.set(text, ajv.compile(JSON.parse(text)));
		const valid = compiled.get(text);
		if (!valid(value)) faults.push(`${where}: ${ajv.errorsText(valid.errors)}: ${JSON.stringify(value)}`);
	} catch (error) {
		faults.push(`${where}: ${error.message}`);
	}
}


/** Looks at every object of the document that has a schema and an example beside it, or an example inside a schema. */
function walk(where, node) {
	if (node === null || typeof node !== "object") return;
	if (!Array.isArray(node)) {
		if (node.schema && "example" in node) holds(where, node.schema, node.example);
		for (const [name, { value }] of Object.entries(node.schema ? (node.examples ?? {}) : {})) holds(`${where} ${name}`, node.schema, value);
		if (!node.schema && "example" in node && (node.type || node.$ref || node.enum)) holds(where, { ...node, example: undefined }, node.example);
	}
	for (const [name, child] of Object.entries(node)) if (name !== "example" && name !== "examples") walk(`${where}/${name}`, child);
}
walk("#", document);
console.log(`${count} examples`);
for (const fault of faults) console.error(fault);
process.exitCode = faults.length > 0 || count === 0 ? 1 : 0;
