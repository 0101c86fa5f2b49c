// What a browser does with hosted workflows, through LangGraph's own npm client; prints one JSON line a fact.
import { Client } from "@langchain/langgraph-sdk";

const client = new Client({ apiUrl: process.argv[2], apiKey: "none" });
const hello = { messages: [{ role: "user", content: "Hello?" }] };
const say = (name, value) => console.log(JSON.stringify([name, value]));

async function told(stream) {
  const parts = [];
  for await (const part of stream) parts.push(part);
  return parts;
}

const thread = await client.threads.create({ metadata: { from: "npm" } });
let made;
const whole = await told(
  client.runs.stream(thread.thread_id, "chat", {
    input: hello,
    streamMode: ["values", "messages", "updates", "custom", "debug", "events"],
    onRunCreated: (run) => (made = run),
  }),
);
say("events", whole.map((part) => part.event));
say("thread of the run", made.thread_id === thread.thread_id);
const rest = await told(
  client.runs.joinStream(thread.thread_id, made.run_id, { lastEventId: whole[1].id }),
);
say("joined", rest.length === whole.length - 2 && rest[0].event === whole[2].event);
const all = await told(client.runs.joinStream(thread.thread_id, made.run_id, { lastEventId: "-1" }));
say("joined from the start", all.length === whole.length);
const tuples = await told(
  client.runs.stream(null, "chat", { input: hello, streamMode: "messages-tuple" }),
);
say("tuples", tuples.filter((part) => part.event === "messages").every((part) => part.data.length === 2));
const asked = await told(
  client.runs.stream(thread.thread_id, "asking", { input: hello, streamMode: "updates" }),
);
say("interrupt", asked.at(-2)?.data?.__interrupt__?.[0]?.value ?? asked.at(-1)?.data?.__interrupt__?.[0]?.value);
const answered = await client.runs.wait(thread.thread_id, "asking", { command: { resume: "yes" } });
say("mood", answered.mood);
const state = await client.threads.getState(thread.thread_id);
say("next", state.next);
say("history", (await client.threads.getHistory(thread.thread_id)).length > 3);
say("assistants", (await client.assistants.search()).map((each) => each.graph_id).sort());
await client.store.putItem(["npm"], "key", { a: 1 });
say("item", (await client.store.getItem(["npm"], "key")).value);
say("found", (await client.threads.search({ metadata: { from: "npm" } })).length);
await client.threads.delete(thread.thread_id);
try {
  await client.threads.get(thread.thread_id);
  say("deleted", false);
} catch (error) {
  say("deleted", error.status === 404 || /404/.test(String(error)));
}
