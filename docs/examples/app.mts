// An app that reserves credits, calls a model, and settles what the call really used.
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";

const url = process.env.TALLY_URL!;
const apiKey = readFileSync(process.env.TALLY_KEY_FILE!, "utf8").trim();

async function tally(method: string, path: string, body?: unknown, key?: string): Promise<[number, any]> {
  const headers: Record<string, string> = {
    authorization: `Bearer ${apiKey}`, "content-type": "application/json", prefer: "wait=5",
  };
  if (key) headers["idempotency-key"] = key; // the same request again gets the same answer
  const answer = await fetch(url + path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  return [answer.status, await answer.json()];
}

type Called = { text: string; tokens: { input: number; output: number } };

async function ask(account: string, prompt: string, callModel: (prompt: string) => Promise<Called>): Promise<string> {
  const request = randomUUID();
  const model = { model: "gpt-4o", provider: "openai" };
  const items = [{ ...model, input_characters: prompt.length, max_output_tokens: 500 }];
  const [status, hold] = await tally("POST", "/v1/holds", { account, feature: "chat", items }, request);
  if (status === 402) return `out of credits: ${hold.shortfall} more are needed (${hold.limit}, resets at ${hold.resets_at})`;
  const { text, tokens } = await callModel(prompt);
  await tally("POST", "/v1/events", {
    specversion: "1.0", type: "tally.usage.v1", source: "/app", id: request, time: new Date().toISOString(), subject: account,
    data: { feature: "chat", hold: hold.hold, items: [{ ...model, tokens }] },
  }); // settles the hold: what was not used is free again
  return text;
}

const model = async () => ({ text: "Rayleigh scattering.", tokens: { input: 6, output: 4 } });
console.log(await ask("acct_42", "Why is the sky blue?", model));
console.log(JSON.stringify((await tally("GET", "/v1/accounts/acct_42/balance?consistency=strict"))[1], null, 2));
