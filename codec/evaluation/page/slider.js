"use strict";
// Every .slider of the page: two pictures in two layers, the left one cut off at the handle. The handle's place is a
// share of the stage, not of the picture, so that it stays in sight when the picture is zoomed and moved.
for (const slider of document.querySelectorAll(".slider")) {
  const stage = slider.querySelector(".slider-stage");
  const handle = slider.querySelector(".slider-handle");
  const layers = { left: slider.querySelector('[data-layer="left"]'), right: slider.querySelector('[data-layer="right"]') };
  const frames = { left: slider.querySelector('[data-frame="left"]'), right: slider.querySelector('[data-frame="right"]') };
  const framed = { left: null, right: null }; // what they are around: [x, y, width, height] in pixels of the picture
  const shows = slider.querySelector(".slider-frames input");
  const width = Number(slider.dataset.width), height = Number(slider.dataset.height);
  let split = 0.5, zoom = 0, x = 0, y = 0; // zoom 0: fitted into the stage; x, y: the picture's corner, in stage pixels

  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

  function place() {
    const box = stage.getBoundingClientRect();
    const fit = Math.min(box.width / width, box.height / height);
    const scale = zoom ? zoom / (window.devicePixelRatio || 1) : fit;
    // A picture larger than the stage covers it, a smaller one is in its middle.
    const along = (offset, stageSize, size) => size > stageSize ? clamp(offset, stageSize - size, 0) : (stageSize - size) / 2;
    x = along(x, box.width, width * scale);
    y = along(y, box.height, height * scale);
    for (const layer of Object.values(layers)) {
      const image = layer.firstElementChild;
      image.style.transform = `translate(${x}px, ${y}px) scale(${scale})`;
      image.classList.toggle("pixelated", zoom >= 2);
    }
    for (const [side, frame] of Object.entries(frames)) {
      frame.hidden = !framed[side] || !shows.checked;
      if (frame.hidden) continue;
      const [left, top, wide, high] = framed[side].map((value) => value * scale);
      // Outside what it is around, and never too small to be seen; the left one further out, for both at one place.
      const [w, h] = [wide, high].map((size) => Math.max(size, 12) + (side === "left" ? 8 : 0));
      frame.style.transform = `translate(${x + left + (wide - w) / 2}px, ${y + top + (high - h) / 2}px)`;
      frame.style.width = `${w}px`;
      frame.style.height = `${h}px`;
    }
    layers.left.style.clipPath = `inset(0 ${(100 * (1 - split)).toFixed(3)}% 0 0)`;
    handle.style.left = `${100 * split}%`;
    handle.setAttribute("aria-valuenow", String(Math.round(100 * split)));
    stage.classList.toggle("zoomed", width * scale > box.width + 1 || height * scale > box.height + 1);
    return scale;
  }

  function choose(side, index) {
    const source = slider.querySelector(`[data-picture="${index}"]`);
    const image = layers[side].firstElementChild;
    image.src = source.src;
    image.alt = source.alt;
    image.width = width;
    image.height = height;
    slider.querySelector(`[data-note="${side}"]`).textContent = source.dataset.note;
    framed[side] = source.dataset.framed ? source.dataset.framed.split(" ").map(Number) : null;
    const note = slider.querySelector(`[data-frame-note="${side}"]`);
    if (note) note.textContent = source.dataset.framedNote || "";
  }

  function setZoom(value) {
    const box = stage.getBoundingClientRect();
    const before = place();
    const centre = [(box.width / 2 - x) / before, (box.height / 2 - y) / before];
    zoom = value;
    const after = zoom ? zoom / (window.devicePixelRatio || 1) : 0;
    x = box.width / 2 - centre[0] * after;
    y = box.height / 2 - centre[1] * after;
    place();
    for (const button of slider.querySelectorAll("[data-zoom]")) {
      button.setAttribute("aria-pressed", String((Number(button.dataset.zoom) || 0) === value));
    }
  }

  let drag = null;
  stage.addEventListener("pointerdown", (event) => {
    const moves = stage.classList.contains("zoomed") && event.target !== handle;
    drag = { moves, x: event.clientX - x, y: event.clientY - y };
    stage.setPointerCapture(event.pointerId);
    if (!moves) follow(event);
  });
  function follow(event) {
    const box = stage.getBoundingClientRect();
    if (drag.moves) {
      x = event.clientX - drag.x;
      y = event.clientY - drag.y;
    } else {
      split = clamp((event.clientX - box.left) / box.width, 0, 1);
    }
    place();
  }
  stage.addEventListener("pointermove", (event) => { if (drag) follow(event); });
  for (const end of ["pointerup", "pointercancel"]) stage.addEventListener(end, () => { drag = null; });
  handle.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -0.02, ArrowRight: 0.02, Home: -1, End: 1 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    split = clamp(split + step, 0, 1);
    place();
  });
  for (const button of slider.querySelectorAll("[data-zoom]")) {
    button.addEventListener("click", () => setZoom(Number(button.dataset.zoom) || 0));
  }
  for (const select of slider.querySelectorAll("[data-side]")) {
    select.addEventListener("change", () => { choose(select.dataset.side, select.value); place(); });
    choose(select.dataset.side, select.value);
  }
  if (shows) shows.addEventListener("change", place);
  new ResizeObserver(place).observe(stage);
  place();
}
