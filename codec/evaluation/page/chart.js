"use strict";
// The curves, as SVG that is drawn anew for every choice. A point is [quality, rate, values..., worst block in words,
// encode ms, decode ms].
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const chart = document.getElementById("chart");
  const hidden = new Set();
  let metric = 0, nearest = [];

  const element = (name, attributes, parent) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (parent) parent.append(made);
    return made;
  };
  const label = (text, attributes, parent) => { element("text", attributes, parent).textContent = text; };

  // Round steps of 1, 2 or 5 times a power of ten, about `count` of them.
  function steps(low, high, count) {
    const raw = (high - low) / count, power = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].find((factor) => factor * power >= raw) * power;
    const found = [];
    for (let value = Math.ceil(low / step) * step; value <= high + step / 1e6; value += step) found.push(Number(value.toFixed(6)));
    return found;
  }

  function draw() {
    const [group, image] = document.getElementById("image").value.split(" ").map(Number); // image -1: the means
    const log = document.getElementById("log").checked;
    const curves = data.groups[group].curves;
    const codecs = data.codecs.map((codec, index) => ({
      ...codec,
      points: (image < 0 ? curves[index].mean : curves[index].images[image]).filter((point) => point[2 + metric] !== null).sort((a, b) => a[1] - b[1]),
    }));
    const shown = codecs.filter((codec) => !hidden.has(codec.name) && codec.points.length);
    const width = Math.max(320, Math.round(chart.clientWidth)), height = width < 600 ? 340 : 460;
    const margin = { left: 46, right: 14, top: 28, bottom: 44 };
    chart.replaceChildren();
    const svg = element("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `rate against ${data.metrics[metric]}` }, chart);
    label(data.metrics[metric], { x: 4, y: 14 }, svg);
    label(`bits per pixel${log ? " (log scale)" : ""}`, { x: (margin.left + width - margin.right) / 2, y: height - 6, "text-anchor": "middle" }, svg);
    nearest = [];
    if (!shown.length) return;

    const all = shown.flatMap((codec) => codec.points);
    const rates = all.map((point) => point[1]), values = all.map((point) => point[2 + metric]);
    let [x0, x1] = [Math.min(...rates), Math.max(...rates)], [y0, y1] = [Math.min(...values), Math.max(...values)];
    if (y0 === y1) { y0 -= 1; y1 += 1; }
    if (x0 === x1) { x0 *= 0.8; x1 *= 1.2; }
    [x0, x1] = log ? [x0 / 1.05, x1 * 1.05] : [0, x1 * 1.03];
    const slack = 0.03 * (y1 - y0);
    [y0, y1] = [y0 - slack, y1 + slack];
    const share = log ? (x) => Math.log(x / x0) / Math.log(x1 / x0) : (x) => (x - x0) / (x1 - x0);
    const toX = (x) => margin.left + share(x) * (width - margin.left - margin.right);
    const toY = (y) => height - margin.bottom - ((y - y0) / (y1 - y0)) * (height - margin.top - margin.bottom);

    const ticks = log ? [0.01, 0.02, 0.03, 0.06, 0.12, 0.25, 0.5, 1, 2, 4, 8, 16].filter((x) => x >= x0 && x <= x1) : steps(x0, x1, width < 600 ? 5 : 9);
    for (const x of ticks) {
      element("line", { x1: toX(x), x2: toX(x), y1: margin.top, y2: height - margin.bottom, stroke: "#d8dee4" }, svg);
      label(String(x), { x: toX(x), y: height - margin.bottom + 18, "text-anchor": "middle" }, svg);
    }
    for (const y of steps(y0, y1, 7)) {
      element("line", { x1: margin.left, x2: width - margin.right, y1: toY(y), y2: toY(y), stroke: "#d8dee4" }, svg);
      label(String(y), { x: margin.left - 8, y: toY(y) + 4, "text-anchor": "end" }, svg);
    }
    const clip = element("clipPath", { id: "inside" }, svg);
    element("rect", { x: margin.left, y: margin.top, width: width - margin.left - margin.right, height: height - margin.top - margin.bottom }, clip);
    const path = (points) => points.map(([x, y], index) => `${index ? "L" : "M"}${toX(x).toFixed(1)} ${toY(y).toFixed(1)}`).join("");

    if (data.anchors.length && metric === data.anchored && image < 0 && !hidden.has("published")) {
      label("published", { x: margin.left + 10, y: margin.top + 14 }, svg);
      for (const [index, anchor] of data.anchors.entries()) {
        const look = { fill: "none", stroke: data.anchorColour, "stroke-width": 1.2, "stroke-dasharray": anchor.dashes.map((length) => 1.2 * length).join(" ") };
        element("path", { d: path(anchor.points), "clip-path": "url(#inside)", ...look }, svg);
        const y = margin.top + 30 + 15 * index;
        element("path", { d: `M${margin.left + 10} ${y - 4}h28`, ...look }, svg);
        label(anchor.name, { x: margin.left + 44, y, class: "anchor" }, svg);
        for (const [x, y] of anchor.points) {
          if (x >= x0 && x <= x1 && y >= y0 && y <= y1) nearest.push({ x: toX(x), y: toY(y), rows: [`${x.toFixed(3)} bpp`, `${y.toFixed(2)} dB`, "published"], name: anchor.name, colour: data.anchorColour });
        }
      }
    }
    for (const codec of [...shown].sort((a, b) => a.own - b.own)) {
      element("path", { d: path(codec.points.map((point) => [point[1], point[2 + metric]])), fill: "none", stroke: codec.colour, "stroke-width": codec.own ? 3.5 : 1.8, "stroke-linejoin": "round" }, svg);
      for (const point of codec.points) {
        const [x, y] = [toX(point[1]), toY(point[2 + metric])];
        element("circle", { cx: x, cy: y, r: codec.own ? 4.5 : 3, fill: codec.colour }, svg);
        const [worst, encode, decode] = point.slice(-3);
        nearest.push({ x, y, name: codec.name, colour: codec.colour, rows: [`quality ${point[0]}`, `${point[1].toFixed(3)} bpp`, ...data.metrics.map((axis, index) => `${axis}: ${point[2 + index] === null ? "-" : point[2 + index].toFixed(2)}`), worst, `encode ${encode} ms, decode ${decode} ms`] });
      }
    }
    const ring = element("circle", { r: 8, fill: "none", "stroke-width": 2, visibility: "hidden" }, svg);
    const tip = document.createElement("div");
    tip.id = "tip";
    tip.hidden = true;
    chart.append(tip);
    svg.addEventListener("pointermove", (event) => {
      const box = svg.getBoundingClientRect(), scale = width / box.width;
      const [x, y] = [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
      const point = nearest.reduce((best, candidate) => Math.hypot(candidate.x - x, candidate.y - y) < Math.hypot(best.x - x, best.y - y) ? candidate : best);
      const far = Math.hypot(point.x - x, point.y - y) > 40;
      tip.hidden = far;
      ring.setAttribute("visibility", far ? "hidden" : "visible");
      if (far) return;
      for (const [key, value] of Object.entries({ cx: point.x, cy: point.y, stroke: point.colour })) ring.setAttribute(key, value);
      const name = document.createElement("b");
      name.textContent = point.name;
      name.style.color = point.colour;
      tip.replaceChildren(name, ...point.rows.flatMap((row) => [document.createElement("br"), row]));
      const left = point.x / scale > box.width / 2 ? point.x / scale - tip.offsetWidth - 14 : point.x / scale + 14;
      tip.style.left = `${Math.min(Math.max(left, 0), box.width - tip.offsetWidth)}px`;
      tip.style.top = `${Math.min(Math.max(point.y / scale - tip.offsetHeight / 2, 0), box.height - tip.offsetHeight)}px`;
    });
    svg.addEventListener("pointerleave", () => { tip.hidden = true; ring.setAttribute("visibility", "hidden"); });
  }

  const toggle = (text, parent, pressed, click) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(text);
    button.setAttribute("aria-pressed", String(pressed));
    button.addEventListener("click", () => { click(button); draw(); });
    parent.append(button);
    return button;
  };
  const metrics = document.getElementById("metrics");
  data.metrics.forEach((axis, index) => toggle(axis.replace(", dB", ""), metrics, index === 0, (button) => {
    metric = index;
    for (const other of metrics.children) other.setAttribute("aria-pressed", String(other === button));
  }));
  const legend = document.getElementById("legend");
  const published = data.anchors.length ? [{ name: "published", colour: data.anchorColour }] : [];
  for (const codec of [...data.codecs, ...published]) {
    const button = toggle("", legend, true, () => {
      if (!hidden.delete(codec.name)) hidden.add(codec.name);
      button.setAttribute("aria-pressed", String(!hidden.has(codec.name)));
    });
    const dot = document.createElement("i");
    dot.style.background = codec.colour;
    button.append(dot, codec.name);
  }
  const select = document.getElementById("image");
  for (const [group, { name, images }] of data.groups.entries()) {
    const list = name ? Object.assign(document.createElement("optgroup"), { label: name }) : select;
    [`mean of ${images.length}${name && " "}${name}`, ...images].forEach((text, index) => list.append(new Option(text, `${group} ${index - 1}`)));
    if (name) select.append(list);
  }
  select.addEventListener("change", draw);
  document.getElementById("log").addEventListener("change", draw);
  new ResizeObserver(draw).observe(chart.parentElement);
  draw();
})();
