// Follows the server: every few seconds the page's content is fetched again and put in place, and the charts are drawn anew.
"use strict";
(() => {
  const EVERY_MS = 5000, FIRST_MS = 1000;
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const short = (value) => Math.abs(value) >= 1e6 ? `${+(value / 1e6).toPrecision(3)} M` : Math.abs(value) >= 1e4 ? `${+(value / 1e3).toPrecision(3)} k` : String(value);
  const day = (seconds) => new Date(seconds * 1000).toISOString().slice(0, 10);
  let drawn = [];

  function bars(label, values, stroke) {
    return { values, series: { label, fill: stroke, stroke, width: 0, points: { show: false }, paths: uPlot.paths.bars({ size: [0.75, 40] }) } };
  }

  // Stacked: the tallest sum is drawn first, the others over it; the legend shows each part, of the last day unless one is pointed at.
  function stacked(parts) {
    const sums = parts[0][1].map(() => 0);
    const layers = parts.map(([label, own, stroke]) => {
      own.forEach((value, at) => { sums[at] += value; });
      const layer = bars(label, sums.map((sum, at) => own[at] ? sum : null), stroke);
      layer.series.value = (_, __, ___, at) => own.at(at ?? -1).toLocaleString("en");
      return layer;
    });
    return layers.reverse();
  }

  function layersOf(kind, data) {
    if (kind === "rows") return [bars("rows", data.rows, colour("--bar"))];
    if (kind === "duration") return [bars("seconds", data.duration, colour("--bar"))];
    return stacked([["complete", data.complete, colour("--ok")], ["partial", data.partial, colour("--warn")], ["failed", data.failed, colour("--bad")]]);
  }

  function draw() {
    drawn.forEach((chart) => chart.destroy());
    drawn = [];
    const source = document.getElementById("chart-data");
    if (!source || typeof uPlot === "undefined") return;
    const data = JSON.parse(source.textContent);
    const axis = { stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: "11px system-ui" };
    for (const place of document.querySelectorAll("[data-chart]")) {
      const layers = layersOf(place.dataset.chart, data);
      const options = {
        width: place.clientWidth, height: 150, padding: [6, 8, 0, 0],
        cursor: { points: { show: false }, y: false, drag: { x: false, y: false } },
        legend: { live: true },
        scales: { x: { time: true, range: (_, from, to) => [from - 43200, to + 43200] }, y: { range: (_, __, most) => [0, most > 0 ? most * 1.08 : 1] } },
        tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "UTC"),
        axes: [{ ...axis, grid: { show: false }, size: 24, space: 60, values: (_, days) => days.map((at) => day(at).slice(5)) },
          { ...axis, size: 48, space: 32, values: (_, marks) => marks.map((mark) => Number.isInteger(mark) ? short(mark) : "") }],
        series: [{ label: "day", value: (_, at) => day(at ?? data.days.at(-1)) },
          ...layers.map((layer) => ({ value: (_, own, __, at) => (at == null ? layer.values.at(-1) : own)?.toLocaleString("en") ?? "–", ...layer.series }))],
      };
      drawn.push(new uPlot(options, [data.days, ...layers.map((layer) => layer.values)], place));
    }
  }

  async function follow() {
    if (!document.hidden) {
      const sign = document.getElementById("asof");
      try {
        const answer = await fetch(location.href, { headers: { Accept: "text/html", "X-Fresh": "yes" }, cache: "no-store" });
        if (answer.redirected && new URL(answer.url).pathname === "/login") { location.reload(); return; }
        if (!answer.ok) throw new Error(String(answer.status));
        const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
        replace(fresh);
      } catch (error) {
        if (sign) { sign.classList.add("lost"); sign.textContent = "no answer, trying again"; }
      }
    }
    setTimeout(follow, EVERY_MS);
  }

  function replace(fresh) {
    const before = document.getElementById("chart-data")?.textContent;
    const charts = [...document.querySelectorAll("[data-chart]")];
    for (const id of ["content", "asof"]) {
      const [old, next] = [document.getElementById(id), fresh.getElementById(id)];
      if (old && next) old.replaceWith(document.adoptNode(next));
    }
    document.getElementById("content")?.classList.remove("opening");
    const [head, nextHead] = [document.querySelector("header nav"), fresh.querySelector("header nav")];
    if (head && nextHead) head.replaceWith(document.adoptNode(nextHead));
    const [sign, nextSign] = [document.querySelector(".brand"), fresh.querySelector(".brand")];
    if (sign && nextSign) sign.replaceWith(document.adoptNode(nextSign));
    // Unchanged charts are kept as they are, so that nothing flickers.
    const places = [...document.querySelectorAll("[data-chart]")];
    if (before === document.getElementById("chart-data")?.textContent && places.length === charts.length) {
      places.forEach((place, at) => place.replaceWith(charts[at]));
    } else {
      draw();
    }
  }

  draw();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  let resized;
  addEventListener("resize", () => { clearTimeout(resized); resized = setTimeout(draw, 150); });
  if (document.getElementById("content")) setTimeout(follow, FIRST_MS);
})();
