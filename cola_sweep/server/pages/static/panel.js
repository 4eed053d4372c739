// A panel of curves: fetches the points of what is in sight, and draws them as the tools above say.

import { axisName, draw } from "./curves.js";
import { el, number } from "./dom.js";
import { trouble } from "./live.js";

const AT_ONCE = 40; // keys of one request

/**
 * Bring the figures `.curve` of a section to life.
 *
 * `sources`: [{name, colour, base}], the runs whose curves are laid over each other. `tools` is the form of the tools,
 * or null. Returns `refresh(source)`, to be called when a source may have new points; it resolves to whether they came.
 */
export function curvePanel(section, tools, sources) {
  const figures = [...section.querySelectorAll(".curve")];
  const loaded = new Map(figures.map((figure) => [figure, sources.map(() => null)])); // for each source its curve; see fetchPoints
  const turns = sources.map(() => 0); // of each source, how often it was said that there may be new points
  const seen = new Set();
  let loading = null;

  const paint = (figure) => {
    const plot = figure.querySelector(".plot");
    const { key, stream, axis: own } = figure.dataset;
    const given = stream === "events" ? "_runtime" : tools?.elements.x.value || own || "_step";
    const curves = loaded.get(figure);
    const along = (axis) => sources.map((source, i) => ({ ...source, points: placed(curves[i], axis) })).filter((line) => line.points.length);
    let axis = curves.some((curve) => curve?.axes?.includes(given)) ? given : "_step", lines = along(axis);
    // One that stands still while values come, as an epoch may, would draw them as upright lines; who chose it, has it.
    if (!tools?.elements.x.value && lines.some(standing)) [axis, lines] = ["_step", along("_step")];
    const why = curves.find((curve) => curve?.why)?.why;
    if (why && !lines.length) {
      delete plot.dataset.wait;
      plot.replaceChildren(el("p", { class: "empty" }, `This cannot be drawn: ${why}.`));
      return;
    }
    draw(plot, lines, { title: key, axis, log: tools?.elements.log.checked, smooth: Number(tools?.elements.smooth.value ?? 0) });
    const last = lines.length === 1 && lines[0].points.at(-1)[1];
    figure.querySelector("figcaption").replaceChildren(key, " ", el("span", { class: "soft" }, last === false ? "" : number(last)));
    plot.querySelector("svg")?.setAttribute("aria-description", `against ${axisName(axis)}`);
  };

  // A long run is drawn roughly first, out of what the server has at hand.
  const due = (figure, i) => { const curve = loaded.get(figure)[i]; return !curve || curve.rough || curve.turn < turns[i]; };
  const ready = (figure) => loaded.get(figure).every(Boolean);

  const load = async () => {
    await new Promise((resolve) => setTimeout(resolve, 20)); // what comes into sight together is asked for at once
    const failed = new Set(); // sources, which are asked again with the next look
    const wanted = (figure) => !figure.hidden && sources.some((_, i) => due(figure, i) && !failed.has(i));
    try {
      for (let some = [...seen].filter(wanted); some.length; some = [...seen].filter(wanted)) {
        const batch = some.filter((figure) => figure.dataset.stream === some[0].dataset.stream).slice(0, AT_ONCE);
        await Promise.all(sources.map(async (_, i) => {
          const asked = batch.filter((figure) => due(figure, i) && !failed.has(i));
          if (asked.length && !(await fetchPoints(asked, i))) failed.add(i);
        }));
        batch.forEach(paint);
      }
    } finally {
      loading = null;
    }
    return failed.size === 0;
  };
  const ask = () => (loading ??= load());

  /** Fetch what is new of a source's curves: {turn, axes, rough, version, count, buckets}, or `why` not. Whether it came. */
  const fetchPoints = async (some, i) => {
    const turn = turns[i], before = some.map((figure) => loaded.get(figure)[i]);
    const version = before.find((curve) => curve?.version)?.version ?? "";
    const query = new URLSearchParams([["stream", some[0].dataset.stream], ["version", version], ...(before.some((curve) => curve?.rough) ? [] : [["soon", 1]])]);
    some.forEach((figure, at) => {
      query.append("key", figure.dataset.key);
      query.append("since", before[at]?.version === version ? before[at].count : 0);
    });
    const answer = await fetch(`${sources[i].base}/curves?${query}`, { headers: { accept: "application/json" }, cache: "no-store" }).catch(() => null);
    const came = answer?.ok ? await answer.json().catch(() => null) : null;
    const why = came ? null : await trouble(answer);
    some.forEach((figure, at) => {
      if (!came) return loaded.get(figure)[i] = { turn: -1, ...before[at], why };
      const { count, begin, buckets } = came.curves[figure.dataset.key];
      loaded.get(figure)[i] = { turn, axes: came.axes, rough: came.rough, version: came.version, count, buckets: [...(before[at]?.buckets ?? []).slice(0, begin), ...buckets] };
    });
    return Boolean(came);
  };

  const repaint = () => { for (const figure of seen) if (ready(figure) && !figure.hidden) paint(figure); };

  const eye = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) seen.add(target); else seen.delete(target);
      if (isIntersecting && ready(target)) paint(target);
    }
    ask();
  }, { rootMargin: "200px" });
  figures.forEach((figure) => eye.observe(figure));
  let width = section.clientWidth;
  new ResizeObserver(() => { if (section.clientWidth !== width) { width = section.clientWidth; repaint(); } }).observe(section);

  const filter = () => {
    const wanted = tools.elements.find.value.trim().toLowerCase();
    for (const figure of figures) figure.hidden = !figure.dataset.key.toLowerCase().includes(wanted);
    for (const group of section.querySelectorAll(".group")) group.hidden = !group.querySelector(".curve:not([hidden])");
    ask();
  };
  tools?.addEventListener("submit", (event) => event.preventDefault());
  tools?.addEventListener("input", (event) => {
    tools.querySelector("output").textContent = tools.elements.smooth.value;
    if (event.target.name === "find") filter(); else repaint();
  });

  // They may stand as a reader left them.
  if (tools) tools.querySelector("output").textContent = tools.elements.smooth.value;
  if (tools?.elements.find.value) filter();
  return (i) => {
    turns[i]++;
    return ask();
  };
}

const standing = ({ points }) => new Set(points.map(([x]) => x)).size * 2 < points.length;

/** [x, y] of each point of a curve along an axis, in its order: the points of several processes may cross. */
function placed(curve, axis) {
  if (!curve?.buckets) return [];
  const at = curve.axes.indexOf(axis);
  return curve.buckets.flat().map((point) => [at <= 0 ? point[0] : point[at + 1], point[1]]).filter(([x]) => x !== null).sort((a, b) => a[0] - b[0]);
}
