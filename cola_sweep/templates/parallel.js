// Lets a reader ask the parallel coordinates: drag along an axis to keep the runs that cross it there,
// point at a line, or step through the runs with the arrow keys. Without it the figure stands as it is. The pages of
// the embedded server use it too, for each drawing anew.
globalThis.parallel = (figure) => {
  const svg = figure && figure.querySelector("svg");
  if (!svg) return;
  // Every vertex of a run's path lies on an axis, so the paths themselves are the data.
  const runs = [...svg.querySelectorAll(".item")].map((node) => ({
    node,
    label: node.querySelector("title").textContent,
    points: node.querySelector("path").getAttribute("d").match(/-?[\d.]+ -?[\d.]+/g).map((pair) => pair.split(" ").map(Number)),
  })).reverse(); // drawn last is best
  if (!runs.length) return;
  const heights = runs.flatMap((run) => run.points.map((point) => point[1]));
  const top = Math.min(...heights) - 4, bottom = Math.max(...heights) + 4;
  const ranges = new Map();
  const make = (name, attributes) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    return svg.appendChild(node);
  };
  const said = document.createElement("output"), clear = document.createElement("button");
  clear.type = "button";
  clear.textContent = "Show all runs";
  clear.hidden = true;
  figure.append(said, clear);
  const hint = "Drag along an axis to keep the runs that cross it there; point at a line, or use the arrow keys, to read a run.";

  const kept = () => runs.filter((run) => [...ranges].every(([axis, range]) => {
    const y = run.points[axis][1];
    return range.low <= y && y <= range.high;
  }));
  let chosen = null;
  const show = () => {
    const shown = kept();
    for (const run of runs) {
      run.node.classList.toggle("off", !shown.includes(run));
      run.node.classList.toggle("on", run === chosen);
    }
    clear.hidden = !ranges.size;
    const best = ranges.size ? `${shown.length} of ${runs.length} runs. ${shown.length ? "Best: " + shown[0].label : ""}` : hint;
    said.textContent = chosen ? chosen.label : best;
  };
  const choose = (run) => { chosen = run; show(); };
  const place = (event) => new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse()).y;

  runs[0].points.forEach(([x], axis) => {
    const grip = make("rect", { x: x - 9, y: top, width: 18, height: bottom - top, class: "grip" });
    const mark = make("rect", { x: x - 5, width: 10, class: "range" });
    mark.style.display = "none";
    let from = null;
    grip.addEventListener("pointerdown", (event) => {
      from = place(event);
      grip.setPointerCapture(event.pointerId);
      event.preventDefault();
    });
    grip.addEventListener("pointermove", (event) => {
      if (from === null) return;
      const to = place(event);
      ranges.set(axis, { low: Math.min(from, to), high: Math.max(from, to) });
      draw();
    });
    const end = () => {
      const range = ranges.get(axis);
      if (from !== null && (!range || range.high - range.low < 3)) ranges.delete(axis); // a click clears the axis
      from = null;
      draw();
    };
    grip.addEventListener("pointerup", end);
    grip.addEventListener("pointercancel", end);
    const draw = () => {
      const range = ranges.get(axis);
      mark.style.display = range ? "" : "none";
      if (range) {
        mark.setAttribute("y", range.low);
        mark.setAttribute("height", range.high - range.low);
      }
      show();
    };
    clear.addEventListener("click", () => { ranges.delete(axis); draw(); });
  });
  for (const run of runs) {
    run.node.addEventListener("pointerenter", () => choose(run));
    run.node.addEventListener("pointerleave", () => choose(null));
  }
  svg.setAttribute("tabindex", "0");
  svg.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (event.key === "Escape") choose(null);
    if (!step) return;
    event.preventDefault();
    const shown = kept();
    const next = shown.indexOf(chosen) + step;
    if (shown.length) choose(shown[(chosen ? next + shown.length : step > 0 ? 0 : shown.length - 1) % shown.length]);
  });
  svg.addEventListener("blur", () => choose(null));
  show();
};
globalThis.parallel(document.getElementById("parallel"));
