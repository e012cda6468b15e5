"use strict";
// The table of all companies: sorted, filtered, a panel for each, and a download.
(async () => {
  const root = document.getElementById("companies");
  if (!root) return;
  const text = document.getElementById("companies-data").textContent;
  if (!("DecompressionStream" in window)) {
    root.querySelector("[data-waiting]").textContent =
      "This table needs a browser of 2023 or later.";
    return;
  }
  const bytes = Uint8Array.from(atob(text.trim()), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const data = await new Response(stream).json();
  const scale = Number(root.dataset.scale), rowsOnPage = 25;
  const find = (name) => root.querySelector(`[data-${name}]`);
  const state = { sort: "customers", down: true, page: 0, metric: 0, open: null };

  const make = (tag, attributes = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  };
  const whole = (value) => (value === null ? "–" : value.toLocaleString("en"));
  const decimal = (value, digits = 3) =>
    value === null ? "–" : (value / scale).toFixed(digits).replace(/^(-?)0\./, "$1.");
  const figure = (value) =>
    Math.abs(value) >= 100 * scale ? whole(Math.round(value / scale)) : decimal(value);
  const percent = (value) => (value === null ? "–" : `${(value / 10).toFixed(1)} %`);
  const cell = (text, number = true) => make("td", number ? { class: "number" } : {}, text);

  const fixed = [
    { key: "company", label: "company", values: data.company },
    { key: "customers", label: "customers", values: data.customers, show: whole },
    { key: "n_windows", label: `${data.window}s`, values: data.n_windows, show: whole },
    { key: "buyers", label: "buyers", values: data.buyers, show: whole },
    { key: "best", label: `best by ${data.primary}`,
      values: data.best.map((at) => (at < 0 ? null : data.models[at])), show: (name) => name ?? "–" },
  ];
  const columns = () => fixed.concat(data.models.map((model, m) => ({
    key: `m${m}`, label: model, values: data.figures[state.metric][m],
    show: figure,
  })));

  const chosen = () => {
    const words = find("filter").value.trim().toLowerCase();
    const least = Number(find("least").value) || 0;
    return data.company.map((_, i) => i).filter((i) =>
      (least <= 0 || (data.buyers[i] ?? -1) >= least) &&
      (!words || data.company[i].toLowerCase().includes(words)));
  };
  const sorted = (rows) => {
    const values = columns().find((column) => column.key === state.sort)?.values ?? data.company;
    const order = state.down ? -1 : 1;
    return rows.sort((a, b) => {
      const [x, y] = [values[a], values[b]];
      if (x === null || y === null) return (x === null) - (y === null) || a - b;
      if (x === y) return a - b;
      return order * (typeof x === "string" ? x.localeCompare(y, "en", { numeric: true }) : x - y);
    });
  };

  const head = () => make("tr", {}, ...columns().map((column) => {
    const is = state.sort === column.key;
    const text = column.key === "company" || column.key === "best";
    const button = make("button", { type: "button" }, column.label);
    button.addEventListener("click", () => {
      state.down = is ? !state.down : column.key !== "company" && column.key !== "best";
      state.sort = column.key;
      state.page = 0;
      draw();
      find("head").querySelector("[aria-sort] button").focus();
    });
    const attributes = { scope: "col", class: text ? "" : "number" };
    if (is) attributes["aria-sort"] = state.down ? "descending" : "ascending";
    return make("th", attributes, button);
  }));

  const row = (i) => {
    const open = state.open === i;
    const button = make("button", { type: "button", "aria-expanded": open }, data.company[i]);
    button.addEventListener("click", () => {
      state.open = open ? null : i;
      draw();
      find("body").querySelector(`[data-row="${i}"] button`).focus();
    });
    const cells = columns().slice(1).map((column) => {
      const made = cell(column.show(column.values[i]), column.key !== "best");
      if (column.key === `m${data.best[i]}`) made.classList.add("best");
      return made;
    });
    const made = [make("tr", { "data-row": i }, make("th", { scope: "row" }, button), ...cells)];
    if (open) made.push(make("tr", {}, make("td", { colspan: columns().length }, panel(i))));
    return made;
  };

  const table = (caption, names, rows) => make("div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    make("table", {}, make("caption", {}, caption),
      make("thead", {}, make("tr", {}, ...names.map((name, n) =>
        make("th", { scope: "col", class: n ? "number" : "" }, name)))),
      make("tbody", {}, ...rows.map(([name, ...values]) =>
        make("tr", {}, make("th", { scope: "row" }, name), ...values.map((value) => cell(value)))))));

  const panel = (i) => {
    const parts = [make("h3", {}, data.company[i])];
    parts.push(table("Figures of each model", ["metric", ...data.models],
      data.metrics.map((metric, k) => [metric.label,
        ...data.models.map((_, m) => figure(data.figures[k][m][i]))])));
    if (data.gains && data.gains.buyers[0][0][i] !== null) {
      const shares = data.models.map((_, m) => data.gains.buyers[m].map((at) => at[i]));
      parts.push(curve(shares));
      parts.push(table("Share of the buyers, by share of customers ranked highest",
        ["model", ...data.gains.depths.map((depth) => `${depth} %`)],
        data.models.map((model, m) => [model, ...shares[m].map(percent)])));
    }
    const own = data.windows;
    if (own) {
      const at = own.company.map((c, k) => (c === i ? k : -1)).filter((k) => k >= 0);
      if (at.length) parts.push(table(`Its ${data.window}s: ${data.primary} of each model`,
        ["cutoff", "customers", "buyers", ...data.models],
        at.map((k) => [own.cutoffs[own.cutoff[k]], whole(own.customers[k]), whole(own.buyers[k]),
          ...data.models.map((_, m) => figure(own.values[m][k]))])));
    }
    return make("div", { class: "company" }, ...parts);
  };

  const svg = (tag, attributes, ...children) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  };
  const curve = (shares) => {
    const depths = data.gains.depths, deepest = depths[depths.length - 1];
    const x = (depth) => 40 + (200 * depth) / deepest, y = (share) => 190 - 0.18 * share;
    const label = (at, up, words, anchor) =>
      svg("text", { x: at, y: up, "font-size": 12, fill: "var(--dim)", "text-anchor": anchor }, words);
    const lines = shares.map((share, m) => svg("polyline", {
      points: [[0, 0], ...depths.map((depth, d) => [depth, share[d]])]
        .map(([depth, value]) => `${x(depth).toFixed(1)},${y(value).toFixed(1)}`).join(" "),
      fill: "none", stroke: `var(--m${data.shades[m]})`, "stroke-width": 1.6,
      "stroke-dasharray": ["", "6 2", "6 2 1 2", "3 1"][m % 4] }));
    const names = data.models.map((name, m) => label(248, 22 + 17 * m, name, "start"));
    names.forEach((name, m) => name.setAttribute("fill", `var(--m${data.shades[m]})`));
    const picture = svg("svg", { viewBox: "0 0 400 215", role: "img",
      "aria-label": "Share of the buyers by share of customers ranked highest" },
      svg("path", { d: `M40,10V190H240`, fill: "none", stroke: "var(--line)" }),
      svg("path", { d: `M40,190L240,${y(10 * deepest)}`, fill: "none", stroke: "var(--dim)",
        "stroke-dasharray": "1 3" }),
      ...lines, ...names,
      label(36, 18, "100 %", "end"), label(36, 193, "0", "end"),
      label(40, 207, "0", "middle"), label(240, 207, `${deepest} %`, "middle"));
    return make("figure", {}, picture);
  };

  const draw = () => {
    const rows = sorted(chosen());
    const pages = Math.max(1, Math.ceil(rows.length / rowsOnPage));
    state.page = Math.min(state.page, pages - 1);
    const first = state.page * rowsOnPage, shown = rows.slice(first, first + rowsOnPage);
    find("head").replaceChildren(head());
    find("body").replaceChildren(...shown.flatMap(row));
    find("count").textContent = rows.length
      ? `${whole(first + 1)} to ${whole(first + shown.length)} of ${whole(rows.length)}` +
        (rows.length < data.company.length ? `, of ${whole(data.company.length)} on this page` : "")
      : "No company matches.";
    find("before").hidden = find("after").hidden = pages < 2;
    find("before").disabled = state.page === 0;
    find("after").disabled = state.page >= pages - 1;
  };

  const download = () => {
    const quoted = (value) => {
      const words = value === null ? "" : String(value);
      return /[",\r\n]/.test(words) ? `"${words.replaceAll('"', '""')}"` : words;
    };
    const all = [...fixed.map(({ key, values }) => [key === "n_windows"
      ? `${data.window.replace("-", "_")}s` : key === "best" ? "best_model" : key, values])];
    const unscaled = (value) => (value === null ? null : value / scale);
    data.metrics.forEach((metric, k) => data.models.forEach((model, m) =>
      all.push([`${metric.name} of ${model}`, data.figures[k][m].map(unscaled)])));
    const lines = [all.map(([name]) => quoted(name)).join(",")];
    for (const i of sorted(chosen()))
      lines.push(all.map(([, values]) => quoted(values[i])).join(","));
    const link = make("a", { download: root.dataset.file,
      href: URL.createObjectURL(new Blob([lines.join("\r\n") + "\r\n"], { type: "text/csv" })) });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  };

  data.metrics.forEach((metric, k) => {
    const better = metric.better === "target" ? "nearer to its target" : metric.better;
    find("metric").append(make("option", { value: k }, `${metric.label} (${better} is better)`));
  });
  find("metric").addEventListener("change", (event) => {
    state.metric = Number(event.target.value);
    draw();
  });
  for (const name of ["filter", "least"])
    find(name).addEventListener("input", () => { state.page = 0; draw(); });
  find("before").addEventListener("click", () => { state.page -= 1; draw(); });
  find("after").addEventListener("click", () => { state.page += 1; draw(); });
  find("download").addEventListener("click", download);
  find("waiting").remove();
  root.querySelectorAll("[hidden]").forEach((element) => element.removeAttribute("hidden"));
  draw();
})();
