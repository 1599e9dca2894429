"use strict";
// The equation language on arrays {s: shape, d: entries in C order}: trees are interpreted, nothing is evaluated as code.
// A tree is a number, a name, null (a new axis), or [op, argument…, {setting: value}]; [":", start, stop, step] a slice.
// A number that is written out is weak (w), as in NumPy: arithmetic on such numbers alone is done in float64.
const lab = (() => {
  let r = x => x; // rounds what an op gives: to float32 where the case has that type
  const A = (s, d, w) => ({s, d, w});
  const fail = words => { throw new Error(words); };
  const size = s => s.reduce((n, m) => n * m, 1);
  const range = n => Array.from({length: n}, (_, k) => k);
  const strides = s => s.map((_, i) => size(s.slice(i + 1)));
  const offsets = (s, st) => s.reduce((all, n, i) => all.flatMap(at => range(n).map(k => at + k * st[i])), [0]);
  const axis = (k, n) => k < 0 ? k + n : k;
  const together = shapes => { const n = Math.max(...shapes.map(s => s.length)); return range(n).map(i => shapes.map(s => s[i - n + s.length] ?? 1).reduce((m, k) => m === 1 ? k : k === 1 || k === m ? m : fail("shapes do not fit together"))); };
  const spread = (x, s) => {
    if (x.w) return Array(size(s)).fill(r(x.d[0]));
    if (x.s.length === s.length && x.s.every((n, i) => n === s[i])) return x.d;
    const skip = s.length - x.s.length, st = strides(x.s);
    return offsets(s, s.map((_, i) => i < skip || x.s[i - skip] === 1 ? 0 : st[i - skip])).map(at => x.d[at]);
  };
  const map = (f, ...xs) => {
    const s = together(xs.map(x => x.s));
    if (xs.every(x => x.w)) return A(s, [f(...xs.map(x => x.d[0]))], 1);
    const [a, b, c] = xs.map(x => spread(x, s));
    return A(s, a.map((v, i) => r(f(v, b?.[i], c?.[i]))));
  };
  // reductions: f of the entries along some axes
  const axes = (x, {axis: k = null}) => (k === null ? range(x.s.length) : [k].flat()).map(i => axis(i, x.s.length));
  const reduce = (f, x, set = {}) => {
    const gone = axes(x, set), st = strides(x.s), one = x.s.map((n, i) => gone.includes(i) ? 1 : n);
    const inner = offsets(gone.map(i => x.s[i]), gone.map(i => st[i])), s = set.keepdims ? one : x.s.filter((_, i) => !gone.includes(i));
    return A(s, offsets(one, st).map(at => r(f(inner.map(k => x.d[at + k])))));
  };
  const total = list => { let sum = 0; for (const x of list) sum += x; return sum; };
  const top = list => { let best = -Infinity; for (const x of list) best = Math.max(best, x); return best; };
  const along = (f, x, set) => { // f makes a list of a list, along one axis
    const [k] = axes(x, {axis: set.axis ?? -1}), st = strides(x.s), d = Array(x.d.length);
    for (const at of offsets(x.s.map((n, i) => i === k ? 1 : n), st))
      f(range(x.s[k]).map(i => x.d[at + i * st[k]])).forEach((y, i) => { d[at + i * st[k]] = r(y); });
    return A(x.s, d);
  };
  const soft = list => { const m = top(list), e = list.map(x => r(Math.exp(r(x - m)))), s = r(total(e)); return e.map(x => x / s); };
  const logSoft = list => { const m = top(list), h = list.map(x => r(x - m)), s = r(Math.log(r(total(h.map(x => r(Math.exp(x))))))); return h.map(x => x - s); };
  const matmul = (a, b) => {
    const x = a.s.length > 1 ? a.s : [1, ...a.s], y = b.s.length > 1 ? b.s : [...b.s, 1];
    const [m, k] = x.slice(-2), [l, n] = y.slice(-2), stack = together([x.slice(0, -2), y.slice(0, -2)]);
    const [p, q] = [[x, a.d, m * k], [y, b.d, l * n]].map(([s, d, last]) => spread(A([...s.slice(0, -2), last], d), [...stack, last]));
    const entry = (row, j) => { let sum = 0, at = Math.floor(row / m) * k * n + j; for (let t = 0; t < k; t++) sum += p[row * k + t] * q[at + t * n]; return r(sum); };
    const d = k === l ? range(size(stack) * m).flatMap(row => range(n).map(j => entry(row, j))) : fail("shapes do not fit");
    return A([...stack, ...(a.s.length > 1 ? [m] : []), ...(b.s.length > 1 ? [n] : [])], d);
  };
  const moved = (x, order) => A(order.map(i => x.s[i]), offsets(order.map(i => x.s[i]), order.map(i => strides(x.s)[i])).map(k => x.d[k]));
  const inside = (k, n) => Number.isInteger(k) && k >= -n && k < n ? axis(k, n) : fail(`index ${k} lies outside of an axis of length ${n}`);
  const bound = (k, n, none, back) => k === null ? none : Math.min(Math.max(axis(k, n), back ? -1 : 0), back ? n - 1 : n);
  const selected = (s, items) => { // NumPy's indexing: the shape, and where each entry stands
    const st = strides(s), parts = []; let at = 0;
    for (const item of [...items, ...Array(s.length - items.filter(i => i !== null).length).fill([":", null, null, null])]) {
      if (item === null) { parts.push({s: [1], o: [0]}); continue; }
      const n = s[at], step = st[at++];
      if (!Array.isArray(item)) { parts.push({ints: A(item.s, item.d.map(k => inside(k, n) * step))}); continue; }
      const by = item[3] ?? 1, from = bound(item[1], n, by < 0 ? n - 1 : 0, by < 0), to = bound(item[2], n, by < 0 ? -1 : n, by < 0);
      const count = Math.max(0, Math.ceil((to - from) / by));
      parts.push({s: [count], o: range(count).map(k => (from + k * by) * step)});
    }
    const ints = parts.filter(p => p.ints).map(p => p.ints), shape = ints.length ? together(ints.map(i => i.s)) : [];
    const added = ints.map(i => spread(i, shape)), block = {s: shape, o: range(size(shape)).map(i => total(added.map(d => d[i])))};
    const marks = parts.map((p, i) => p.ints ? i : -1).filter(i => i >= 0), lists = ints.some(i => i.s.length);
    const apart = lists && marks.some((m, i) => i && m !== marks[i - 1] + 1);
    const rest = parts.map((p, i) => p.ints ? (i === marks[0] && !apart ? block : null) : p).filter(Boolean);
    const order = apart ? [block, ...rest] : rest;
    return {s: order.flatMap(p => p.s), at: order.reduce((all, p) => all.flatMap(a => p.o.map(o => a + o)), [0])};
  };
  const added = (s, at, x) => { const d = Array(size(s)).fill(0); at.forEach((k, i) => { d[k] = r(d[k] + x.d[i]); }); return A(s, d); };
  const given = xs => xs.map(x => x.d[0]);
  // the error function: its series near 0, its continued fraction in the tail
  const tail = t => { let f = t; for (let k = 120; k; k--) f = t + k / 2 / f; return Math.exp(-t * t) / Math.sqrt(Math.PI) / f; };
  const near = t => { let term = t, sum = t; for (let k = 1; term > sum * 1e-17; k++) sum += term *= 2 * t * t / (2 * k + 1); return 2 / Math.sqrt(Math.PI) * Math.exp(-t * t) * sum; };
  const erfc = t => t < 0 ? 2 - erfc(-t) : t < 2 ? 1 - near(t) : t > 28 ? 0 : tail(t);
  const erf = t => t !== t ? t : t < 0 ? -erf(-t) : t < 2 ? near(t) : 1 - erfc(t);
  const cdf = x => x !== x ? x : erfc(-x / Math.SQRT2) / 2, pdf = x => Math.exp(-x * x / 2) / Math.sqrt(2 * Math.PI);
  const triangle = (kept, x) => { const [n, m] = x.s.slice(-2); return A(x.s, x.d.map((v, at) => kept(Math.floor(at / m) % n, at % m) ? v : 0)); };
  const pair = v => Array.isArray(v) ? v : [v, v];
  const bordered = (x, width, v = 0) => { // v around the last two axes
    const [p, q] = pair(width), [n, m] = x.s.slice(-2), s = [...x.s.slice(0, -2), n + 2 * p, m + 2 * q], d = Array(size(s)).fill(v);
    offsets(x.s, strides(s)).forEach((at, k) => { d[at + p * (m + 2 * q) + q] = x.d[k]; });
    return A(s, d);
  };
  const slid = (s, of, {stride: by = 1, dilation: gap = 1}) => { // the windows of a shape: their shape, and where each entry stands
    const st = strides(s), e = pair(by), a = pair(gap), k = s.length - 2;
    const count = [0, 1].map(i => Math.floor((s[k + i] - (of[i] - 1) * a[i] - 1) / e[i]) + 1), to = [...of, ...s.slice(0, k), ...count];
    return {s: to, at: offsets(to, [st[k] * a[0], st[k + 1] * a[1], ...st.slice(0, k), st[k] * e[0], st[k + 1] * e[1]])};
  };
  const windows = (x, set) => { const to = slid(x.s, pair(set.size), set); return A(to.s, to.at.map(k => x.d[k])); };
  const im2col = (x, set) => {
    const v = windows(bordered(x, set.pad ?? 0), set), n = x.s.length, batch = x.s.slice(0, -3), rows = size(x.s.slice(-3, -2)) * v.s[0] * v.s[1];
    return A([...batch, rows, v.s[n] * v.s[n + 1]], moved(v, [...range(n - 2).map(k => k + 2), 0, 1, n, n + 1]).d);
  };
  const conv2d = (x, k, set) => {
    const n = Math.min(k.s.length, 3), of = k.s.slice(-2), image = bordered(x, set.pad ?? 0), places = slid(image.s, of, set).s.slice(-2);
    const columns = im2col(n === 2 ? A([...x.s.slice(0, -2), 1, ...x.s.slice(-2)], x.d) : x, {...set, size: of});
    return A([...x.s.slice(0, -n), ...k.s.slice(0, -3), ...places], matmul(A([size(k.s.slice(0, -3)), size(k.s.slice(-3))], k.d), columns).d);
  };
  const pooled = (f, x, set, v) => reduce(f, windows(bordered(x, set.pad ?? 0, v), {size: set.size, stride: set.stride ?? set.size}), {axis: [0, 1]});
  const entrywise = {
    add: (a, b) => a + b, sub: (a, b) => a - b, mul: (a, b) => a * b, div: (a, b) => a / b, neg: x => -x,
    pow: (a, b) => b === 2 ? a * a : a === 1 ? 1 : Math.pow(a, b),
    gt: (a, b) => +(a > b), ge: (a, b) => +(a >= b), lt: (a, b) => +(a < b), le: (a, b) => +(a <= b), eq: (a, b) => +(a === b), ne: (a, b) => +(a !== b),
    floordiv: (a, b) => Math.floor(a / b), mod: (a, b) => { const m = a % b; return m && m < 0 !== b < 0 ? m + b : m; },
    tan: Math.tan, log2: Math.log2, log10: Math.log10, huber: (x, d) => Math.abs(x) <= d ? r(x * x) / 2 : d * r(Math.abs(x) - d / 2),
    exp: Math.exp, expm1: Math.expm1, log: Math.log, log1p: Math.log1p, sqrt: Math.sqrt, sin: Math.sin, cos: Math.cos,
    floor: Math.floor, ceil: Math.ceil, round: x => { const n = Math.round(x); return n - x === 0.5 && n % 2 ? n - 1 : n; }, double: x => x,
    abs: Math.abs, sign: Math.sign, square: x => x * x, tanh: Math.tanh, erf, normal_cdf: cdf, normal_pdf: pdf,
    maximum: (a, b) => Math.max(a, b), minimum: (a, b) => Math.min(a, b), clip: (x, low, high) => Math.min(Math.max(x, low), high), where: (c, a, b) => c !== 0 ? a : b,
    relu: x => Math.max(x, 0), leaky_relu: (x, alpha) => x > 0 ? x : alpha * x, elu: (x, alpha) => x > 0 ? x : alpha * r(Math.expm1(Math.min(x, 0))),
    sigmoid: x => 1 / r(1 + r(Math.exp(-x))), silu: x => x / r(1 + r(Math.exp(-x))), softplus: x => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))), gelu: x => x * r(cdf(x)),
  };
  const ops = {
    matmul, dot: matmul, outer: (a, b) => matmul(A([a.s[0], 1], a.d), A([1, b.s[0]], b.d)),
    T: x => moved(x, range(x.s.length).reverse()), mT: x => moved(x, [...range(x.s.length - 2), x.s.length - 1, x.s.length - 2]),
    transpose: (x, ...order) => moved(x, given(order).map(k => axis(k, x.s.length))),
    swapaxes: (x, ...pair) => { const [a, b] = given(pair).map(k => axis(k, x.s.length)); return moved(x, range(x.s.length).map(k => k === a ? b : k === b ? a : k)); },
    tril: (x, k) => triangle((i, j) => j - i <= k.d[0], x), triu: (x, k) => triangle((i, j) => j - i >= k.d[0], x),
    eye: n => ops.one_hot(ops.arange(n), n),
    var: (x, set) => reduce(list => { const m = r(r(total(list)) / list.length); return r(total(list.map(v => r(r(v - m) ** 2)))) / (list.length - (set.ddof ?? 0)); }, x, set), std: (x, set) => map(Math.sqrt, ops.var(x, set)),
    prod: (x, set) => reduce(list => list.reduce((all, v) => r(all * v), 1), x, set),
    reshape: (x, ...s) => { const n = given(s), known = size(n.filter(k => k !== -1)); return A(n.map(k => k === -1 ? x.d.length / known : k), x.d); },
    concat: (...xs) => {
      const {axis: k = 0} = xs.pop(), at = axis(k, xs[0].s.length), inner = xs.map(x => size(x.s.slice(at)));
      const d = range(size(xs[0].s.slice(0, at))).flatMap(o => xs.flatMap((x, i) => x.d.slice(o * inner[i], (o + 1) * inner[i])));
      return A(xs[0].s.map((n, i) => i === at ? total(xs.map(x => x.s[at])) : n), d);
    },
    stack: (...xs) => { const {axis: k = 0} = xs.pop(), n = xs[0].s.length, at = axis(k, n + 1); return moved(ops.array(...xs), [...range(at).map(i => i + 1), 0, ...range(n - at).map(i => i + at + 1)]); },
    shape: x => A([x.s.length], x.s), size: x => A([], [x.d.length]),
    cumsum: (x, set) => along(list => { let sum = 0; return list.map(v => sum = r(sum + v)); }, x, set),
    linspace: (a, b, n) => { const end = n.d[0] - 1, step = r(r(r(b.d[0]) - r(a.d[0])) / end); return A([end + 1], range(end + 1).map(k => k && k === end ? r(b.d[0]) : r(r(k * step) + r(a.d[0])))); },
    einsum: (...xs) => {
      const [left, right] = xs.pop().subscripts.replaceAll(" ", "").split("->"), of = left.split(","), n = {};
      xs.forEach((x, i) => [...of[i]].forEach((c, k) => { n[c] = x.s[k]; }));
      const out = [...right], gone = Object.keys(n).filter(c => !out.includes(c)), s = out.map(c => n[c]);
      const at = xs.map((x, i) => { const st = strides(x.s), by = list => list.map(c => of[i].includes(c) ? st[of[i].indexOf(c)] : 0); return [offsets(s, by(out)), offsets(gone.map(c => n[c]), by(gone))]; });
      return A(s, range(size(s)).map(o => r(total(range(size(gone.map(c => n[c]))).map(k => xs.reduce((p, x, i) => r(p * x.d[at[i][0][o] + at[i][1][k]]), 1))))));
    },
    array: (...xs) => A([xs.length, ...xs[0].s], xs.flatMap(x => x.d)),
    diag: x => A([x.s[0], x.s[0]], x.d.flatMap((v, i) => x.d.map((_, j) => i === j ? v : 0))),
    index: (x, ...items) => { const to = selected(x.s, items); return A(to.s, to.at.map(k => x.d[k])); },
    scatter: (g, x, ...items) => added(x.s, selected(x.s, items).at, g),
    windows, im2col, conv2d, pad: (x, set) => bordered(x, set.width ?? 0, set.value),
    overlap_add: (v, x, set) => added(x.s, slid(x.s, v.s.slice(0, 2), set).at, v),
    flip: (x, set) => { const back = axes(x, set); return ops.index(x, ...x.s.map((_, i) => [":", null, null, back.includes(i) ? -1 : 1])); },
    max_pool: (x, set) => pooled(top, x, set, -Infinity), avg_pool: (x, set) => pooled(list => r(total(list)) / list.length, x, set),
    sum: (x, set) => reduce(total, x, set), mean: (x, set) => reduce(list => r(total(list)) / list.length, x, set),
    max: (x, set) => reduce(top, x, set), min: (x, set) => map(v => -v, ops.max(map(v => -v, x), set)),
    logsumexp: (x, set) => reduce(list => top(list) - top(logSoft(list)), x, set), norm: (x, set) => reduce(list => Math.sqrt(r(total(list.map(v => r(v * v))))), x, set),
    argmax: (x, set) => reduce(list => list.reduce((k, v, i) => v > list[k] || (v !== v && list[k] === list[k]) ? i : k, 0), x, set), argmin: (x, set) => ops.argmax(map(v => -v, x), set),
    softmax: (x, set) => along(soft, x, set), log_softmax: (x, set) => along(logSoft, x, set),
    cross_entropy: (z, t) => {
      const rows = t.s.length === z.s.length ? t : ops.one_hot(t, A([], z.s.slice(-1))), logs = ops.log_softmax(z, {});
      return map(x => -x, reduce(total, A(z.s, logs.d.map((x, i) => rows.d[i] === 0 && rows !== t ? 0 : r(x * rows.d[i]))), {axis: -1}));
    },
    one_hot: (t, {d: [n]}) => A([...t.s, n], t.d.flatMap(k => { const c = inside(k, n); return range(n).map(i => +(i === c)); })), ones_like: x => map(() => 1, x), zeros_like: x => map(() => 0, x),
    ones: (...s) => ops.ones_like(ops.zeros(...s)), zeros: (...s) => added(given(s), []), arange: n => A([n.d[0]], range(n.d[0])),
  };
  const table = new Map([...Object.entries(entrywise).map(([op, f]) => [op, (...xs) => map(f, ...xs)]), ...Object.entries(ops)]);
  const settled = new Set("sum mean max min var std prod logsumexp norm argmax argmin softmax log_softmax concat stack cumsum einsum windows overlap_add pad flip im2col conv2d max_pool avg_pool".split(" "));
  const run = (tree, env) => {
    if (typeof tree === "number") return A([], [tree], 1);
    if (typeof tree === "string") return env.get(tree) ?? fail(`${tree} is not known`);
    if (tree === null || tree[0] === ":") return tree;
    const last = tree[tree.length - 1], set = last && typeof last === "object" && !Array.isArray(last) ? last : null;
    const [op, ...args] = set ? tree.slice(0, -1) : tree;
    // what settings alone make is computed in float64 before it meets the program's floats
    if (op === "rounded") { const kept = r; r = x => x; const [x] = run(args[0], env).d; r = kept; return A([], [r(x)]); }
    const values = args.map(arg => run(arg, env));
    return (table.get(op) ?? fail(`no op ${op}`))(...values, ...(settled.has(op) ? [set ?? {}] : []));
  };
  const numbers = single => { // as mathlab's own pictures write them: four digits, or as many more as it takes not to look whole
    const is = (text, x) => single ? Math.fround(+text) === x : Math.abs(+text - x) <= (Math.abs(x) >= 1 || text.includes(".") ? 1e-12 * Math.abs(x) : 0);
    const num = x => {
      if (!Number.isFinite(x)) return x !== x ? "NaN" : x > 0 ? "∞" : "-∞";
      for (let digits = 4; ; digits++) {
        const [mantissa, power] = x.toExponential(digits - 1).split("e"), e = +power, plain = e >= -4 && e < 7, tail = plain ? "" : `e${e}`;
        const shown = plain ? x.toFixed(Math.max(digits - 1 - e, 0)) : mantissa, short = shown.includes(".") ? shown.replace(/\.?0+$/, "") : shown;
        if (is(short + tail, x)) return short === "-0" ? "0" : short + tail;
        if (!plain || short.includes(".") || digits > 16) return shown + tail;
      }
    };
    return {is, num};
  };
  const value = (tree, env, single) => { r = single ? Math.fround : x => x; const x = run(tree, env); return x.w ? A(x.s, x.d.map(v => r(v))) : x; };
  const computed = (from, lines, single) => { const found = new Map(from); for (const [name, tree] of lines) found.set(name, value(tree, found, single)); return found; };
  // training as the lab does it: the losses, and the weights before the first epoch and after each; the equations may be others for a batch
  const train = ({forward, backward, end, single, train: {state, updates, moved, trained, batches, epochs: own}}, leaves, settings, epochs, until = Infinity) => {
    const known = [...forward, ...backward], lines = known.filter(([name]) => name !== "upstream"), losses = [], past = []; let made = 0;
    const now = computed(leaves, known.filter(line => !lines.includes(line)), single); // of all samples, for every batch
    for (const [name, like, start] of state) now.set(name, A(now.get(like).s, start ?? now.get(like).d.map(() => 0)));
    for (const [name, x] of settings) now.set(`_setting_${name}`, A([], [x]));
    const move = found => { found.set("_t", A([], [++made])); const next = computed(found, updates, single); for (const [old, name] of moved) now.set(old, next.get(name)); };
    for (let epoch = 0; ; epoch++) {
      const found = computed(now, lines, single);
      losses.push(found.get(end).d[0]); past.push(new Map(trained.map(name => [name, now.get(name)])));
      if (epoch === epochs || epoch >= own && Date.now() > until) return {losses, past}; // no page stands still for long
      if (!batches) move(found);
      else for (let k = 0; k < batches.each; k++) {
        const picked = batches.rows[made % batches.rows.length], at = A([picked.length], picked), batch = new Map([...now, ...batches.over.map(name => [name, ops.index(now.get(name), at)])]);
        move(computed(batch, batches.lines[picked.length] ?? lines, single));
      }
    }
  };
  // what an expression comes to over two entries, row by row from below
  const field = ({forward, single}, leaves, {over, of}, side) => range(side * side).map(at => {
    const now = new Map(leaves), steps = [at % side, Math.floor(at / side)];
    over.forEach(([name, k, low, high], i) => { const x = now.get(name), v = low + (high - low) * steps[i] / (side - 1); now.set(name, A(x.s, x.d.map((old, at) => at === k ? v : old))); });
    return value(of, computed(now, forward, single), single).d[0];
  });
  return {strides, range, numbers, value, computed, train, field, ops: [...table.keys(), "rounded"], entrywise: new Set(Object.keys(entrywise))};
})();
