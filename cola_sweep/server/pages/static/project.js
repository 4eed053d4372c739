// A project's page: its sweeps and runs as tables that follow the feed.
import { chooser } from "./choose.js";
import { duration, el, moment, state } from "./dom.js";
import { follow } from "./live.js";
import { table } from "./table.js";

const at = (id) => document.getElementById(id);
const { address, page } = document.querySelector("[data-address]").dataset;
const showSweeps = at("sweeps") && table(at("sweeps"), `sweeps ${page}`, ["sweep", "sweeps"]);
const showRuns = at("runs") && table(at("runs"), `runs ${page}`, ["run", "runs"]);
const box = at("runs") && chooser(at("runs"), `${page}/compare`);
const link = (kind, item) => el("a", { href: `${page}/${kind}/${encodeURIComponent(item.id)}` }, item.name);
const title = (key) => key.replace(/^(config|summary)\./, "");

follow(address, (data) => {
  if ((!showSweeps && data.sweeps.length) || (!showRuns && data.runs.length)) location.reload(); // the first one has come
  showSweeps?.(sweepColumns, data.sweeps);
  showRuns?.(runColumns(data), data.runs);
  if (data.count > data.runs.length && at("more")) at("more").textContent = `The newest ${data.runs.length.toLocaleString("en")} of ${data.count.toLocaleString("en")}; a sweep’s own page has all of its runs.`;
}, at("status"));

const sweepColumns = [
  { key: "name", title: "Sweep", value: (sweep) => sweep.name, cell: (sweep) => link("sweeps", sweep) },
  { key: "state", title: "State", value: (sweep) => sweep.state.toLowerCase(), cell: (sweep) => state(sweep.state) },
  { key: "method", title: "Method", value: (sweep) => sweep.method },
  { key: "runs", title: "Trials", value: (sweep) => sweep.runs },
  { key: "metric", title: "Metric", value: (sweep) => sweep.metric },
  { key: "best", title: "Best", value: (sweep) => sweep.best },
  { key: "since", title: "Since", value: (sweep) => sweep.since, cell: (sweep) => moment(sweep.since) },
];

function runColumns(data) {
  const titles = new Map();
  for (const key of data.keys) titles.set(title(key), (titles.get(title(key)) ?? 0) + 1);
  const column = (key) => {
    const place = data.keys.indexOf(key);
    return {
      key,
      title: titles.get(title(key)) > 1 ? key : title(key),
      hidden: !data.first.includes(key),
      value: (run) => (typeof run.values[place] === "boolean" ? String(run.values[place]) : run.values[place]),
    };
  };
  return [
    { key: "name", title: "Run", value: (run) => run.name, cell: (run) => el("span", {}, box(run.id, run.name), link("runs", run)) },
    { key: "state", title: "State", value: (run) => run.state, cell: (run) => state(run.state) },
    ...data.first.map(column),
    { key: "sweep", title: "Sweep", value: (run) => run.sweep, cell: (run) => run.sweep && el("a", { href: `${page}/sweeps/${encodeURIComponent(run.sweep)}` }, run.sweep) },
    { key: "seconds", title: "Duration", value: (run) => run.seconds, cell: (run) => duration(run.seconds) },
    { key: "since", title: "Since", value: (run) => run.since, cell: (run) => moment(run.since) },
    ...data.keys.filter((key) => !data.first.includes(key)).map(column),
  ];
}
