// The page: names of nodes are only ever keys of Maps and text of elements, so that none of them can be code or markup.
(() => {
  const D = JSON.parse(document.getElementById("data").textContent), $ = id => document.getElementById(id);
  const fill = (element, ...inside) => element.replaceChildren(...inside.flat(Infinity).filter(x => x !== null && x !== undefined));
  const say = (tag, set, ...inside) => {
    const made = document.createElement(tag);
    for (const key in set) key in made ? made[key] = set[key] : made.setAttribute(key, set[key]);
    fill(made, inside); return made;
  };
  const drawn = (tag, set, ...inside) => { const made = document.createElementNS("http://www.w3.org/2000/svg", tag); for (const key in set) made.setAttribute(key, set[key]); fill(made, inside); return made; };
  const words = (x, y, said, anchor, colour = "currentColor") => drawn("text", {x, y, "font-size": 12, fill: colour, stroke: "var(--card)", "stroke-width": 4, "paint-order": "stroke", "text-anchor": anchor}, said);
  const lined = (points, colour, set) => drawn("path", {d: points.map((p, k) => p.every(Number.isFinite) ? `${k && points[k - 1].every(Number.isFinite) ? "L" : "M"}${p[0].toFixed(1)} ${p[1].toFixed(1)}` : "").join(""), fill: "none", stroke: colour, "stroke-width": 2, ...set});
  const typed = (set, good, change) => say("input", {type: "text", inputMode: "decimal", ...set, oninput: ({target}) => { const text = target.value.trim().replace("−", "-"), fits = text !== "" && Number.isFinite(+text) && good(+text); target.setAttribute("aria-invalid", String(!fits)); target.title = fits ? "" : "This is not taken: a number that fits is needed, as 0.5"; if (fits) change(+text, target); }});
  const {is, num} = lab.numbers(D.single);
  const label = (name, at) => at.length ? `${name}[${at.join(",")}]` : name;
  const places = s => s.reduce((all, n) => all.flatMap(at => lab.range(n).map(k => [...at, k])), [[]]);
  const shape = s => s.join("×") || "scalar", rowed = (list, s) => { const n = s[s.length - 1] ?? 1; return lab.range(list.length / n).map(i => list.slice(i * n, (i + 1) * n)); };
  // what is known: the numbers of the article, those that the reader has put in their place, all that follows from them
  const origin = new Map(D.leaves.map(([name, , s, d]) => [name, {s, d}])), roles = new Map(D.leaves.map(([name, role]) => [name, role]));
  const lines = [...D.forward, ...D.backward], forward = D.forward.length, kept = new Map(D.stores), shares = new Map(D.shares);
  const gradients = new Set(D.backward.map(([name]) => name)), order = new Map(lines.map(([name], k) => [name, k + 1]));
  const given = () => new Map(D.train ? [...D.train.settings, ["epochs", D.train.epochs]] : []), fresh = () => new Map([...origin].map(([name, x]) => [name, {s: x.s, d: [...x.d]}]));
  let now = fresh(), env = new Map(), step = 1, at = [], epoch = null, later = 0, past = [], settings = given();
  const edits = () => [...origin].flatMap(([name, x]) => places(x.s).flatMap((place, k) => Object.is(now.get(name).d[k], x.d[k]) ? [] : [[name, place, now.get(name).d[k]]]));
  const fixed = new Map(D.fixed ?? []); // of a page that is too large to be computed anew: arrays, and what large ones come to
  const marked = key => new Map([...document.querySelectorAll(`#graph [data-${key}]`)].map(part => [part.dataset[key], part]));
  const cells = marked("n"), boxes = marked("node"), folds = [...marked("hides")].map(([names, box]) => [names.split(" "), box]);
  const gist = x => `norm ${num(Math.hypot(...x.d))}, ${num(Math.min(...x.d))} … ${num(Math.max(...x.d))}`;
  const refill = (name, x) => {
    if (cells.get(name)?.dataset.norm) cells.get(name).textContent = gist(x);
    else places(x.s).forEach((place, k) => { const text = cells.get(label(name, place)); if (text) { text.textContent = num(x.d[k]); text.dataset.v = x.d[k]; } });
  };
  const done = name => (order.get(name) ?? 0) <= step;
  const show = () => {
    const [name, , text, owner] = lines[step - 1], home = folds.find(([names]) => names.includes(owner))?.[1] ?? boxes.get(owner);
    for (const [node, box] of boxes) {
      box.classList.toggle("now", box === home);
      for (const layer of box.querySelectorAll("[data-layer]")) layer.classList.toggle("absent", layer.dataset.layer === "verdict" ? edits().length > 0 || epoch !== null || !done(node) : !done(layer.dataset.layer === "backward" ? "d" + node : node));
    }
    for (const edge of document.querySelectorAll("#graph [data-from]")) {
      const {from, to, layer} = edge.dataset, back = layer === "backward";
      edge.classList.toggle("off", !done(to)); edge.classList.toggle("absent", back && !(done("d" + from)));
      edge.classList.toggle("now", step > forward === back && owner === (back ? from : to));
    }
    $("graph").classList.toggle("backward", step > forward); $("step").value = step; $("count").textContent = `${step} / ${lines.length}`;
    $("said").textContent = `Step ${step} of ${lines.length}, ${step > forward ? "backward" : "forward"}: ${name} = ${text.length > 120 ? `${text.slice(0, 119)}…` : text}`;
    if (home && !$("graph").classList.contains("fit")) { const a = home.getBoundingClientRect(), b = $("graph").getBoundingClientRect(); $("graph").scrollBy(a.x + a.width / 2 - b.x - b.width / 2, a.y + a.height / 2 - b.y - b.height / 2); }
    try { history.replaceState(null, "", `#step=${step}`); } catch (trouble) { void trouble; } // not in a frame without an address
    card();
  };
  // the numbers put in
  const infix = {add: [1, " + "], sub: [1, " − "], mul: [2, " · "], div: [2, " / "], gt: [0, " > "], ge: [0, " ≥ "], lt: [0, " < "], le: [0, " ≤ "], eq: [0, " = "], ne: [0, " ≠ "]};
  const value = tree => lab.value(tree, env, D.single);
  const entry = (x, place) => { const here = place.slice(place.length - x.s.length), st = lab.strides(x.s); return x.d[here.reduce((k, i, a) => k + (x.s[a] === 1 ? 0 : i * st[a]), 0)]; };
  const leaf = (x, kind, least) => say("span", {className: kind}, x < 0 && least > 1 ? `(${num(x)})` : num(x));
  const kind = tree => typeof tree === "string" && gradients.has(tree) ? "gradient" : typeof tree === "number" ? "" : "value";
  const moving = {index: 1, T: 1, mT: 1, transpose: 1, swapaxes: 1, reshape: 1, flip: 1, concat: 99, stack: 99, array: 99};
  const listed = (terms, sign) => terms.length <= 6 ? terms.flatMap((t, i) => i ? [sign, t] : [t]) : [...listed(terms.slice(0, 5), sign), `${sign}… (${terms.length} terms)`];
  const put = (tree, place, least = 0) => {
    const [op, a, b] = Array.isArray(tree) ? tree : [], inside = (strength, ...parts) => strength < least ? ["(", ...parts, ")"] : parts;
    if (op in infix) { const [p, sign] = infix[op]; return inside(p, put(a, place, p), sign, put(b, place, p + 1)); }
    if (op === "neg") return inside(1, "−", put(a, place, 2));
    if (op === "pow") return inside(4, put(a, place, 9), "^", put(b, place, 9));
    if (op in moving) { // which entry of which argument it is
      const parts = [], known = new Map(env), mark = t => { const x = value(t), from = parts.length ? parts[0].end : 0; parts.unshift({t, s: x.s, from, end: from + x.d.length}); known.set(String(from), {s: x.s, d: x.d.map((_, k) => from + k)}); return String(from); };
      const id = entry(lab.value([op, ...tree.slice(1).map((t, i) => i < moving[op] && (typeof t !== "object" || Array.isArray(t)) ? mark(t) : t)], known, false), place), {t, s, from} = parts.find(part => part.from <= id);
      return put(t, lab.strides(s).map((st, k) => Math.floor((id - from) / st) % s[k]), least);
    }
    if (op === "outer") return inside(2, leaf(value(a).d[place[0]], kind(a), 2), " · ", leaf(value(b).d[place[1]], kind(b), 2));
    if (op === "matmul" || op === "dot") {
      const x = value(a), y = value(b), n = x.s[x.s.length - 1], row = x.s.length > 1 ? 1 : 0, column = y.s.length > 1 ? 1 : 0;
      const stack = place.slice(0, place.length - row - column), i = place.slice(stack.length, stack.length + row), j = place.slice(stack.length + row);
      const base = t => Array.isArray(t) && (t[0] === "T" || t[0] === "mT") ? t[1] : t;
      return inside(n > 1 ? 1 : 2, ...listed(lab.range(n).map(k => [leaf(entry(x, [...stack, ...i, k]), kind(base(a)), 2), " · ", leaf(entry(y, [...stack, k, ...j]), kind(base(b)), 2)]), " + "));
    }
    if (op === "sum" || op === "mean") {
      const s = value(a).s, gone = b?.axis === undefined ? lab.range(s.length) : [b.axis].flat().map(k => k < 0 ? k + s.length : k), rest = [...place];
      const fixed = s.map((_, i) => gone.includes(i) ? (b?.keepdims && rest.shift(), null) : rest.shift());
      const terms = places(gone.map(i => s[i])).map(p => { const q = [...p]; return put(a, fixed.map(k => k ?? q.shift()), 2); });
      return op === "sum" ? inside(terms.length > 1 ? 1 : 2, ...listed(terms, " + ")) : inside(2, "(", ...listed(terms, " + "), `) / ${terms.length}`);
    }
    if (op === "softmax") {
      const x = value(a), k = (b?.axis ?? -1) < 0 ? place.length + (b?.axis ?? -1) : b.axis, power = i => ["e^", leaf(entry(x, place.map((p, n) => n === k ? i : p)), "value", 2)];
      return inside(2, power(place[k]), " / (", ...listed(lab.range(x.s[k]).map(power), " + "), ")");
    }
    return lab.entrywise.has(op) ? [op, "(", ...tree.slice(1).flatMap((t, i) => [i ? ", " : "", put(t, place)]), ")"] : [leaf(entry(value(tree), place), kind(tree), least)];
  };
  const filled = (tree, x) => { try { const shown = put(tree, at).flat(Infinity), [first, then] = shown; if (first.textContent && then !== "^") first.textContent = first.textContent.replace(/^\((.*)\)$/, "$1"); return shown.length === 1 && first.textContent === num(entry(x, at)) ? "" : shown; } catch (trouble) { void trouble; return ""; } };
  // what can be scrolled sideways can be reached by keyboard
  const reachable = () => { for (const part of document.querySelectorAll(".wide, fieldset")) part.scrollWidth > part.clientWidth ? part.tabIndex = 0 : part.removeAttribute("tabindex"); };
  // the card of a step
  const table = (head, rows) => say("div", {className: "wide"}, say("table", {}, say("tr", {}, head.map(h => say("th", {scope: "col"}, h))), rows.map(row => say("tr", {}, row.map(cell => say("td", {}, cell))))));
  const judged = figures => table(["figure", "printed", "computed", "verdict", "in the article"], figures.map(([quantity, printed, shown, verdict, passed, place]) => [quantity, printed, shown, say("span", {className: passed ? "good" : "bad"}, `${passed ? "✓" : "✗"} ${verdict}`), say("span", {className: "dim"}, place)]));
  const card = () => {
    const [name, tree, text, owner] = lines[step - 1], back = step > forward, x = env.get(name), parts = [
      say("h2", {}, back ? "Backward: " : "Forward: ", say("span", {className: back ? "gradient" : "value"}, name), " ", say("span", {className: "dim"}, x ? shape(x.s) : "")),
      say("div", {className: "wide"}, $(`m${step}`).content.cloneNode(true)), say("p", {}, say("code", {}, `${name} = ${text}`))];
    if (!x) parts.push(say("p", {}, fixed.get(name) ?? ""));
    else {
      if (at.length !== x.s.length || at.some((k, i) => k >= x.s[i])) at = x.s.map(() => 0);
      const all = places(x.s), pick = place => say("button", {className: "entry", "aria-pressed": String(String(place) === String(at)), "aria-label": `${label(name, place)} = ${num(entry(x, place))}`, onclick: () => { at = place; card(); document.querySelector("#card [aria-pressed=true]").focus(); }}, num(entry(x, place)));
      if (all.length <= 60) parts.push(say("div", {className: "wide"}, say("table", {className: "array"}, rowed(all, x.s).map(row => say("tr", {}, row.map(place => say("td", {}, pick(place))))))));
      else parts.push(say("p", {}, gist(x)));
      const shown = filled(tree, x);
      parts.push(say("p", {className: "numbers", id: "put"}, label(name, at), shown && [" = ", shown], " = ", say("b", {className: back ? "gradient" : "value"}, num(entry(x, at)))));
      if (back && name === "d" + owner && shares.has(owner)) {
        const rows = shares.get(owner).map(([reader, written, share, up, near, fused]) => [`back from ${reader}${fused.length ? ` (with ${fused.join(", ")})` : ""}`, say("code", {}, written), up === null ? say("span", {className: "left"}, filled(share, value(share))) : ["upstream ", leaf(entry(value(up), at), "gradient", 0), " × local ", leaf(entry(value(near), at), "value", 2)], ["= ", leaf(entry(value(share), at), "gradient", 0)]]);
        if (rows.length > 1) rows.push(["sum", "", "", say("b", {}, "= ", num(entry(x, at)))]);
        parts.push(say("h3", {}, rows.length > 1 ? `The paths that meet in ${label(name, at)}` : "The path"), table(["path", "share", "upstream × local", "gives"], rows));
      }
    }
    if (!back && kept.get(name)?.length) parts.push(say("p", {className: "dim"}, `keeps ${kept.get(name).join(", ")} for the backward pass`));
    const figures = D.figures.filter(figure => figure[0] === name); if (figures.length && !edits().length && epoch === null) parts.push(say("h3", {}, "Figures"), judged(figures.map(figure => figure.slice(1))));
    fill($("card"), parts); reachable();
  };
  // the numbers that can be changed, shown at four digits where the field is not entered
  const whole = x => ({onfocus: ({target}) => { if (target.value === num(x())) target.value = is(num(x()), x()) ? num(x()) : String(x()); target.select(); }, onblur: ({target}) => { if (target.getAttribute("aria-invalid") !== "true") { target.value = num(x()); target.size = Math.max(target.size, target.value.length); } }});
  const edit = () => {
    if (D.fixed) { fill($("edit"), say("h2", {}, "Inputs and weights"), say("p", {}, D.said)); return; }
    const groups = [...origin].map(([name, x]) => {
      const size = Math.max(8, ...x.d.map(v => num(v).length)), field = (place, k) => typed({value: num(x.d[k]), size, "aria-label": label(name, place), autocomplete: "off", ...whole(() => now.get(name).d[k])}, v => roles.get(name) === "index" ? Number.isInteger(v) : Number.isFinite(D.single ? Math.fround(v) : v), (v, target) => {
        const {d} = now.get(name), before = [d[k], epoch]; d[k] = D.single ? Math.fround(v) : v; epoch = null;
        if (!renew()) { [d[k], epoch] = before; target.setAttribute("aria-invalid", "true"); } // there is no such index: all stays as it is
        target.classList.toggle("changed", !Object.is(d[k], x.d[k]));
      });
      return say("fieldset", {}, say("legend", {}, `${name} `, say("span", {className: "dim"}, roles.get(name) === "index" ? "index" : roles.get(name))), rowed(places(x.s).map(field), x.s).map(row => say("div", {className: "row"}, row)));
    });
    fill($("edit"), say("h2", {}, "Inputs and weights"), say("p", {className: "dim", id: "state", role: "status"}), groups, say("button", {id: "reset", onclick: () => { epoch = null; now = fresh(); settings = given(); edit(); if (D.train) training(); renew(); $("reset").focus(); }}, "back to the article's numbers"), say("p", {className: "wide"}, say("code", {id: "set"})));
  };
  const exact = (d, s) => s.length ? `[${lab.range(s[0]).map(i => exact(d.slice(i * d.length / s[0], (i + 1) * d.length / s[0]), s.slice(1))).join(", ")}]` : Object.is(d[0], -0) ? "-0.0" : String(d[0]);
  const renew = () => {
    const changed = edits();
    try { env = lab.computed(now, lines, D.single); } catch (trouble) { $("state").textContent = `This cannot be computed, and is not changed: ${trouble.message}.`; return false; }
    $("state").textContent = epoch !== null ? `The graph has the weights after ${epoch} epochs; these are those before the first.` : changed.length ? `Changed numbers: ${changed.map(([name, place]) => label(name, place)).join(", ")}; what was printed no longer applies.` : "Change a number: everything is computed anew, here in the page.";
    const others = [...given()].filter(([name, x]) => settings.get(name) !== x).map(([name]) => `--set "train.${name}=${settings.get(name)}"`);
    const sets = [...origin].map(([name, {s}]) => [changed.filter(([of]) => of === name).map(([, place, x]) => `--set "${label(name, place)}=${exact([x], [])}"`).join(" "), `--set "${name}=${exact(now.get(name).d, s)}"`]);
    $("set").textContent = changed.every(([, , x]) => Number.isFinite(x)) ? [...sets.map(([each, all]) => all.length < each.length ? all : each), ...others].filter(Boolean).join(" ") : "What is not finite cannot be set.";
    for (const [name, x] of env) refill(name, x);
    for (const [name, paths] of shares) for (const [reader, , share] of paths) if (paths.length > 1) refill(`d${name}<${reader}`, lab.value(["add", share, ["zeros_like", name]], env, D.single));
    tabled(); show();
    if (epoch === null) { clearTimeout(later); later = setTimeout(D.train?.updates ? train : contours, changed.length ? 150 : 0); }
    return true;
  };
  const written = x => !x ? "" : x.d.length > 30 ? `norm ${num(Math.hypot(...x.d))}` : x.s.length < 2 ? x.d.map(num).join("  ") : rowed(x.d.map(num), x.s).map(row => say("div", {}, row.join("  ")));
  const tabled = () => fill($("table"), table(["node", "equation", "value", "gradient"], [...D.leaves.map(([name]) => [name, ""]), ...D.forward.map(([name, , text]) => [name, text])].map(([name, text]) => [name, say("span", {className: "left"}, text), say("span", {className: "value"}, written(env.get(name)) || (fixed.get(name) ?? "")), say("span", {className: "gradient"}, written(env.get("d" + name)) || (fixed.get("d" + name) ?? ""))])));
  const train = () => { const made = lab.train(D, now, settings, settings.get("epochs"), Date.now() + 2000); past = made.past; curve(made.losses); contours(); };
  const roomy = (id, most, beside) => Math.min($(id).clientWidth - beside || most, most); // so that on a phone, too, letters are as large as text
  // a field in ten bands, the higher the darker, and on it the way of the training
  const contours = () => fill($("contours"), (D.contours ?? []).map(one => {
    const side = 41, wide = roomy("contours", 420, 90), east = 70 + wide, low = 20 + wide, cell = wide / side, [[a, i, x0, x1], [b, j, y0, y1]] = one.over, heights = lab.field(D, now, one, side), good = heights.filter(Number.isFinite).sort((p, q) => p - q);
    const near = v => Math.min(Math.max(v, -1e6), 1e6), on = ([x, y]) => [near(70 + wide * (x - x0) / (x1 - x0)), near(low - wide * (y - y0) / (y1 - y0))], bands = heights.map(h => Number.isFinite(h) ? Math.floor(10 * good.findIndex(v => v >= h) / good.length) : -1);
    const square = (band, at, k) => band === k ? `M${70 + at % side * cell} ${low - (Math.floor(at / side) + 1) * cell}h${cell}v${cell}h-${cell}z` : "";
    const way = past.map(p => [(p.get(a) ?? now.get(a)).d[i], (p.get(b) ?? now.get(b)).d[j]]), last = way[way.length - 1], led = last ? `; the training leads from (${way[0].map(num).join(", ")}) to (${last.map(num).join(", ")})` : "";
    const told = `${one.text} over ${one.x} and ${one.y}: from ${num(good[0] ?? NaN)} to ${num(good[good.length - 1] ?? NaN)}${led}`;
    const others = one.paths.map(([name, points], k) => { // named where a share of the way is gone, another one on each
      const run = points.map(on), seen = run.filter(([x, y]) => x >= 70 && x <= east && y >= 20 && y <= low), gone = seen.map((p, i) => i && Math.hypot(p[0] - seen[i - 1][0], p[1] - seen[i - 1][1])); let left = gone.reduce((a, b) => a + b, 0) * (k + 1) / (one.paths.length + 1);
      return [lined(run, "var(--good)", {"stroke-dasharray": `${Math.max(7 - 3 * k, 1)} 3`}), seen.length ? words(...seen[Math.max(gone.findIndex(d => (left -= d) <= 0), 0)], name, "middle", "var(--good)") : null];
    });
    const own = [lined(way.map(on), "var(--gradient)"), last && !on(last).some(Number.isNaN) ? drawn("circle", {cx: on(last)[0], cy: on(last)[1], r: 5, fill: "var(--gradient)"}) : null];
    const axes = [words(70, low + 16, num(x0), "middle"), words(east, low + 16, num(x1), "end"), words(70 + wide / 2, low + 32, one.x, "middle"), words(64, low + 4, num(y0), "end"), words(64, 28, num(y1), "end"), words(64, 25 + wide / 2, one.y, "end")];
    const ways = drawn("svg", {x: 70, y: 20, width: wide, height: wide, viewBox: `70 20 ${wide} ${wide}`}, others.map(([line]) => line), own); // which ends at the frame
    return [drawn("svg", {viewBox: `0 0 ${east + 20} ${low + 40}`, class: "contour", role: "img", "aria-label": told}, lab.range(10).map(k => drawn("path", {d: bands.map((band, at) => square(band, at, k)).join(""), fill: "var(--value)", "fill-opacity": 0.05 + 0.07 * k})), ways, others.map(([, name]) => name), axes), say("p", {className: "dim"}, told)];
  }));
  const curve = losses => {
    const good = losses.filter(Number.isFinite), low = good.reduce((a, b) => Math.min(a, b), good[0]), high = good.reduce((a, b) => Math.max(a, b), good[0]), log = low > 0 && high / low > 20, scale = x => log ? Math.log(x) : x, wide = roomy("curves", 600, 0);
    const y = x => 150 - 130 * (scale(x) - scale(low)) / (scale(high) - scale(low) || 1), x = k => 70 + (wide - 80) * k / Math.max(losses.length - 1, 1);
    const set = {viewBox: `0 0 ${wide} 185`, id: "curve", role: "img", "aria-label": `${D.end} from ${num(losses[0])} to ${num(losses[losses.length - 1])} over ${losses.length - 1} epochs`}, dot = drawn("circle", {r: 5, fill: "var(--gradient)"});
    const picture = drawn("svg", set, drawn("path", {d: `M70 15V155H${wide - 8}`, fill: "none", stroke: "var(--line)"}), lined(losses.map((l, k) => [x(k), y(l)]), "var(--value)"), words(64, 24, num(high ?? NaN), "end"), words(64, 154, num(low ?? NaN), "end"), words(70, 172, "0", "middle"), words(wide - 10, 172, String(losses.length - 1), "end"), words(wide / 2 + 30, 172, `epoch${log ? " (loss on a logarithmic scale)" : ""}`, "middle"), dot);
    const told = say("output", {}), told_at = k => { told.textContent = `epoch ${k}: ${D.end} = ${num(losses[k])}${D.train.updates && losses.length <= settings.get("epochs") ? "; it takes long, and stopped there" : ""}`; dot.setAttribute("cx", x(k)); const seen = Number.isFinite(losses[k]); dot.setAttribute("cy", seen ? y(losses[k]) : 0); dot.style.display = seen ? "" : "none"; };
    const scrub = say("input", {type: "range", min: 0, max: losses.length - 1, value: losses.length - 1, "aria-label": past.length ? "Epoch whose weights are shown" : "Epoch", oninput: event => {
      told_at(+event.target.value);
      if (past.length) { const before = now; epoch = +event.target.value; now = new Map([...now, ...past[epoch]]); renew(); now = before; }
    }});
    fill($("curves"), picture, scrub, say("p", {}, told)); told_at(losses.length - 1);
    $("curves").dataset.losses = losses.length <= 2000 ? losses.join(" ") : "";
  };
  const training = () => {
    const good = name => v => v >= 0 && !(v >= 1 && D.train.rates.includes(name)) && (name !== "epochs" || Number.isInteger(v) && v <= D.train.most), change = name => v => { settings.set(name, v); epoch = null; renew(); clearTimeout(later); train(); };
    const fields = D.train.updates ? [...settings].map(([name, x]) => say("label", {}, name, typed({value: String(x), size: Math.max(8, String(x).length)}, good(name), change(name)))) : [];
    fill($("trained"), say("h2", {}, `Training: ${D.train.optimizer}`), fields, say("p", {className: "dim"}, D.train.said), say("div", {id: "curves"}), D.train.figures.length ? [say("h3", {}, "Figures, with the article's numbers"), judged(D.train.figures)] : []);
    if (!D.train.updates) curve(D.train.losses);
  };
  const go = to => { step = Math.min(Math.max(to, 1), lines.length); show(); };
  $("step").max = lines.length; $("step").oninput = event => go(+event.target.value);
  $("start").onclick = () => go(1); $("back").onclick = () => go(step - 1); $("next").onclick = () => go(step + 1); $("stop").onclick = () => go(lines.length);
  const zoom = () => { const fit = $("graph").classList.toggle("fit"); $("zoom").setAttribute("aria-pressed", String(!fit)); }; $("zoom").onclick = () => { zoom(); show(); };
  const graph = document.querySelector("#graph svg"); if (graph.getBoundingClientRect().width < 0.45 * graph.viewBox.baseVal.width) zoom(); // nobody could read it
  document.addEventListener("keydown", event => {
    if (event.target.closest("input, button.entry, [tabindex]") || event.altKey || event.ctrlKey || event.metaKey) return;
    const to = {ArrowRight: step + 1, ArrowLeft: step - 1, Home: 1, End: lines.length}[event.key];
    if (to) { event.preventDefault(); go(to); }
  });
  for (const [node, box] of boxes) box.addEventListener("click", () => { $("graph").blur(); go(step > forward && order.has("d" + node) ? order.get("d" + node) : order.get(node) ?? order.get("d" + node) ?? step); });
  const asked = () => Math.min(Math.max(+(/^#step=(\d+)$/.exec(location.hash)?.[1] ?? step), 1), lines.length);
  addEventListener("hashchange", () => go(asked())); step = asked();
  $("train").hidden = !D.train && !D.contours?.length; edit(); if (D.train) training();
  if (D.fixed) { env = new Map(D.small.map(([name, s, d]) => [name, {s, d: d.map(Number)}])); tabled(); show(); } else renew();
})();
