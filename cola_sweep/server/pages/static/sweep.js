// A sweep's page: draws what its feed says, again whenever that changes.
import { chooser } from "./choose.js";
import { coordinates } from "./coordinates.js";
import { duration, el, moment, number, state, svg } from "./dom.js";
import { follow, trouble } from "./live.js";
import { chart, name } from "./plot.js";
import { table } from "./table.js";

const main = document.getElementById("content");
const { address, runs } = main.querySelector("[data-address]").dataset;
const at = (id) => document.getElementById(id);
let showTrials = null; // made with the first trial, in the place of what says how to start one
const MOST_STOPS = 50;
const OPEN = new Set(["pending", "running", "preempting"]);
let drawn = "", asked = -1, open = 0;

follow(address, (data) => {
  const valued = data.trials.filter((trial) => typeof trial.value === "number");
  const sign = data.metric?.goal === "maximize" ? -1 : 1;
  const ranked = [...valued].sort((a, b) => sign * (a.value - b.value));
  facts(data, ranked[0]);
  if (data.trials.length) showTrials ??= table(at("trials"), `sweep ${address}`, ["trial", "trials"]);
  showTrials?.(columns(data), data.trials.toReversed().map((trial) => ({ ...trial, mark: trial === ranked[0] ? "first" : null })));
  stops(data);
  agents(data);
  // Drawings change with values alone; an agent's sign of life leaves them, and what a reader chose in them.
  const now = JSON.stringify([data.parameters, data.trials.map((trial) => [trial.value, OPEN.has(trial.state)])]);
  if (now !== drawn) draw(data, valued, ranked);
  drawn = now;
}, at("status"));

main.querySelector(".steer")?.addEventListener("submit", (event) => {
  const what = open > 1 ? `the ${open} trials` : "the trial", they = open > 1 ? "them go on to their ends" : "it go on to its end";
  if (event.submitter.value === "CANCELED" && open && !confirm(`Cancel ends ${what} under way. Stop lets ${they}.`)) event.preventDefault();
});

const box = chooser(at("trials"), runs.replace(/runs\/$/, "compare"));
const link = (trial) => el("a", { href: runs + encodeURIComponent(trial.id) }, trial.name);

function facts(data, best) {
  at("state").replaceChildren(state(data.state));
  for (const button of document.querySelectorAll("button[name=state]")) button.disabled = !data.moves.includes(button.value);
  open = data.trials.filter((trial) => OPEN.has(trial.state)).length;
  const count = (test) => data.trials.filter(test).length.toLocaleString("en");
  const fact = (title, ...what) => el("div", {}, el("dt", {}, title), el("dd", {}, ...what));
  at("facts").replaceChildren(
    fact("Method", el("strong", {}, data.method)),
    fact(data.metric ? `Best ${data.metric.name}` : "Best", best ? el("strong", {}, number(best.value)) : "–", best ? el("span", { class: "soft" }, link(best)) : null),
    fact("Trials", el("strong", {}, count(() => true)), el("span", { class: "soft" }, data.cap ? `of ${data.cap.toLocaleString("en")} at most` : "")),
    fact("Under way", el("strong", {}, count((trial) => OPEN.has(trial.state)))),
    fact("Stopped early", el("strong", {}, count((trial) => trial.reason))),
    fact("Failed", el("strong", {}, count((trial) => ["failed", "crashed"].includes(trial.state)))),
  );
}

function columns(data) {
  return [
    { key: "name", title: "Trial", value: (trial) => trial.name, cell: (trial) => el("span", {}, box(trial.id, trial.name), link(trial)) },
    { key: "state", title: "State", value: (trial) => trial.state, cell: (trial) => state(trial.state) },
    ...(data.metric ? [{ key: "value", title: data.metric.name, value: (trial) => trial.value }] : []),
    ...data.parameters.map((parameter, place) => ({
      key: `parameter ${parameter.name}`,
      title: parameter.name,
      value: (trial) => plain(trial.values[place]),
    })),
    { key: "seconds", title: "Duration", value: (trial) => trial.seconds, cell: (trial) => duration(trial.seconds) },
    { key: "since", title: "Since", value: (trial) => trial.since, cell: (trial) => moment(trial.since) },
    { key: "agent", title: "Agent", hidden: true, value: (trial) => trial.agent },
    { key: "reason", title: "Stopped because", hidden: !data.trials.some((trial) => trial.reason), value: (trial) => trial.reason },
    { key: "notes", title: "Notes", hidden: !data.trials.some((trial) => trial.notes), value: (trial) => trial.notes },
  ];
}

const plain = (value) => (value === null || value === undefined || typeof value === "number" ? value : name(value));

function rows(place, titles, found, none) {
  place.replaceChildren(found.length
    ? el("div", { class: "wide", tabindex: 0, role: "region", "aria-label": titles.join(", ") }, el("table", { class: "data" }, el("thead", {}, el("tr", {}, titles.map((title) => el("th", { scope: "col" }, title)))),
      el("tbody", {}, found.map((cells) => el("tr", {}, cells.map((cell, i) => el(i ? "td" : "th", { scope: i ? null : "row" }, cell)))))))
    : el("p", { class: "empty" }, none));
}

function stops(data) {
  const found = data.trials.filter((trial) => trial.reason).toReversed();
  at("stops").closest("section").hidden = !found.length;
  rows(at("stops"), ["Trial", "Why", data.metric?.name ?? "Value"], found.slice(0, MOST_STOPS).map((trial) => [link(trial), trial.reason, trial.value === null ? "" : number(trial.value)]), "");
  if (found.length > MOST_STOPS) at("stops").append(el("p", { class: "soft" }, `The newest ${MOST_STOPS} of ${found.length.toLocaleString("en")}; the table of trials has all of them.`));
}

function agents(data) {
  const found = data.agents.toSorted((a, b) => (b.heartbeat < a.heartbeat ? -1 : 1));
  const told = found.some((agent) => agent.why);
  rows(at("agents"), ["Agent", "State", "Last sign", "Trials", ...(told ? ["Told to leave because"] : [])], found.map((agent) => [
    agent.host || agent.name, state(agent.state), moment(agent.heartbeat), agent.runs.toLocaleString("en"), ...(told ? [el("span", { class: "said" }, agent.why)] : []),
  ]), "None has come yet.");
}

function draw(data, valued, ranked) {
  const about = (trial) => [`${trial.name} (${trial.state})`, `${data.metric.name} ${number(trial.value)}`, ...data.parameters.map((parameter, place) => `${parameter.name} ${typeof trial.values[place] === "number" ? number(trial.values[place]) : plain(trial.values[place]) ?? "–"}`)].join("\n");
  const point = (trial, x) => ({ x, y: trial.value, text: about(trial), href: runs + encodeURIComponent(trial.id), mark: trial === ranked[0] ? "best" : OPEN.has(trial.state) ? "open" : null });
  at("drawings").hidden = !valued.length;
  at("no-drawings").hidden = Boolean(valued.length);
  at("no-drawings").textContent = data.metric ? `Drawings appear with the first trial that logs ${data.metric.name}.` : "The sweep names no metric that it is after, so there is nothing to draw.";
  if (!valued.length) return;
  const { name: metric, goal } = data.metric;
  const numbered = data.trials.flatMap((trial, i) => (typeof trial.value === "number" ? [point(trial, i + 1)] : []));
  const steps = [];
  for (const each of numbered) {
    if (!steps.length || (goal === "maximize" ? each.y > steps.at(-1).y : each.y < steps.at(-1).y)) steps.push(each);
  }
  at("progress").replaceChildren(chart({ points: numbered, steps, x: { title: "trial", kind: "linear" }, y: { title: metric }, width: room(at("progress"), 480), said: `Best ${metric} so far: ${number(ranked[0].value)}, of trial ${steps.at(-1).x} of ${data.trials.length}` }));
  const figure = at("parallel");
  figure.closest("section").hidden = valued.length < 2 || data.parameters.length < 1;
  if (valued.length > 1 && data.parameters.length && !figure.querySelector(".off")) coordinates(figure, data, ranked);
  at("parameters").replaceChildren(...data.parameters.map((parameter, place) => {
    const points = valued.filter((trial) => trial.values[place] !== null).map((trial) => point(trial, trial.values[place]));
    return points.length ? el("figure", {}, chart({ points, x: { title: parameter.name, kind: parameter.scale }, y: { title: metric }, width: room(at("parameters"), 400), height: 250, said: `${metric} against ${parameter.name}, ${points.length} trials` })) : null;
  }).filter(Boolean));
  const ended = valued.filter((trial) => !OPEN.has(trial.state)).length;
  if (ended !== asked) importance(ended);
}

// A drawing is not made larger than its place, so that its texts keep their size on a phone.
const room = (place, most) => Math.min(Math.max(place.clientWidth, 260), most);

const bar = (share) => svg("svg", { class: "share", viewBox: "0 0 100 1", preserveAspectRatio: "none", "aria-hidden": "true" },
  svg("rect", { width: 100, height: 1, class: "well" }), svg("rect", { width: 100 * share, height: 1 }));

async function importance(ended) {
  asked = ended;
  const answer = await fetch(`${address}/importance`, { headers: { accept: "application/json" } }).catch(() => null);
  if (!answer?.ok) return at("importance").replaceChildren(el("p", { class: "empty" }, `It is not known: ${await trouble(answer)}.`));
  const { shares, why, n } = await answer.json();
  at("importance").replaceChildren(shares
    ? el("div", {}, el("ol", { class: "bars" }, shares.map(([parameter, share]) => el("li", {}, el("span", {}, parameter), bar(share), el("span", { class: "number" }, `${Math.round(share * 100)}%`)))),
      el("p", { class: "soft" }, `PED-ANOVA over ${n.toLocaleString("en")} ended trials: how far a parameter’s values among the best tenth differ from those of all.`))
    : el("p", { class: "empty" }, why));
}
