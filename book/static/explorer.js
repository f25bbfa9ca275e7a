// The explorer: reads the controls, works out what each chart shows, and hands it to Vega.
// Its data come from book/explorer.py. A mask is a text, "1" for each unit that is kept.
(async () => {
  "use strict";
  const {profile, encoder, tasks, authors, modes, estimators, phases, shapes, charts, colours} =
    window.EXPLORER;
  const at = (name) => document.getElementById(`explorer-${name}`);
  const ran = Object.keys(tasks).length > 0;
  const chosen = {layer: 0, column: "0"};
  let playing = null;

  const views = {};
  if (!ran) {
    document.querySelectorAll(".explorer-run").forEach((part) => part.remove());
    at("rounds").remove();
    at("estimators").remove();
  }
  at("about").textContent = ran
    ? `On the left, the run ${profile}: encoder ${encoder}, ${shapes.ours[0]} layers × ` +
      `${shapes.ours[1]} heads. On the right, the authors' BERT-base.`
    : "No run is here to show, so these are the masks of the authors' BERT-base alone.";

  // --- what is chosen ---------------------------------------------------------------------------

  function offer(name, choices) {  // [value, text] each; keeps the choice if it is still there
    const list = at(name), before = list.value;
    list.replaceChildren(...choices.map(([value, text]) => new Option(text, value)));
    if (choices.some(([value]) => value === before)) list.value = before;
  }

  const bySeed = (seeds) => Object.keys(seeds).map((seed) => [seed, seed]);
  const entries = (names, present) => Object.entries(names).filter(([key]) => present.has(key));

  function trails() {
    return ran ? tasks[at("task").value].seeds[at("seed").value].trails : {};
  }

  function trail() {
    return trails()[`${at("mode").value}/${at("estimator").value}`];
  }

  function chooseTask() {
    offer("seed", bySeed((ran ? tasks : authors)[at("task").value].seeds));
    return chooseSeed();
  }

  function chooseSeed() {
    const present = new Set(Object.keys(trails()).map((key) => key.split("/")[0]));
    offer("mode", ran ? entries(modes, present) : Object.entries(modes));
    return chooseMode();
  }

  function chooseMode() {
    if (ran) {
      const mine = Object.keys(trails()).filter((key) => key.startsWith(`${at("mode").value}/`));
      offer("estimator", entries(estimators, new Set(mine.map((key) => key.split("/")[1]))));
    }
    return chooseSearch();
  }

  function chooseSearch() {  // another search begins at its first round
    if (ran) {
      at("round").max = trail().rounds.length - 1;
      at("round").value = 0;
    }
    return show();
  }

  // --- what a chart shows -----------------------------------------------------------------------

  function units(who, describe) {
    const [layers, heads] = shapes[who], rows = [];
    for (let layer = 0; layer < layers; layer++) {
      for (let head = 0; head <= heads; head++) {
        const isMlp = head === heads, column = isMlp ? "MLP" : String(head);
        const place = isMlp ? layers * heads + layer : layer * heads + head;
        const unit = isMlp ? `layer ${layer}, MLP` : `layer ${layer}, head ${head}`;
        rows.push({layer: String(layer), column, unit, ...describe(place, isMlp, layer)});
      }
    }
    return rows;
  }

  const whole = (mask) => mask.heads + mask.mlps;
  const cell = (fill, text, ink, now = false) =>
    ({fill, text, ink, edge: now ? colours.now : colours.edge, width: now ? 2.5 : 0.6});

  function shaded(share, text) {
    const step = Math.min(colours.ramp.length - 1, Math.floor(share * colours.ramp.length));
    return cell(colours.ramp[step], text, step < colours.pale ? colours.ink : colours.paper);
  }

  function survives(who, place) {
    const all = (who === "ours" ? tasks : authors)[at("task").value];
    const key = who === "ours" ? `${at("mode").value}/${at("estimator").value}` : at("mode").value;
    const counts = all && all.survival[key];
    if (!counts) return null;
    return {count: [...counts.heads, ...counts.mlps][place], seeds: counts.seeds};
  }

  function inWords(who, place) {
    const found = survives(who, place);
    return found ? `good in ${found.count} of ${found.seeds} seeds` : "–";
  }

  function oursNow() {
    const search = trail(), number = Number(at("round").value), round = search.rounds[number];
    // what a round switched off is what the last accepted mask before it still had
    const before = search.rounds.slice(0, number).filter((one) => one.accepted).pop() || round;
    const kept = whole(round), had = whole(before), values = round.importance;
    const patterns = tasks[at("task").value].seeds[at("seed").value].patterns;
    const heads = shapes.ours[0] * shapes.ours[1];
    const top = [[0, heads], [heads, kept.length]].map(([from, to]) =>
      values ? Math.max(...values.slice(from, to).filter((_, n) => kept[from + n] === "1")) : 0);
    return units("ours", (place, isMlp) => {
      const on = kept[place] === "1", now = !on && had[place] === "1";
      const state = on ? "kept" : now ? "switched off in this round" : "switched off";
      const shown = !on ? cell(colours.off, "×", now ? colours.now : colours.ink, now)
        : values ? shaded(Math.max(0, values[place]) / (top[Number(isMlp)] || 1), "")
        : cell(colours.unmeasured, "", colours.ink);
      return {
        ...shown, state, importance: on && values ? String(values[place]) : "–",
        survival: inWords("ours", place), attention: patterns[place] || "–",
      };
    });
  }

  function theirsNow() {
    const ended = (authors[at("task").value].seeds[at("seed").value] || {})[at("mode").value];
    if (!ended) return [];
    const kept = whole(ended);
    return units("theirs", (place) => {
      const on = kept[place] === "1";
      return {
        ...(on ? shaded(0.99, "") : cell(colours.off, "×", colours.ink)),
        state: on ? "kept" : "switched off", importance: "–",
        survival: inWords("theirs", place), attention: "–",
      };
    });
  }

  function overSeeds(who) {
    return units(who, (place) => {
      const found = survives(who, place);
      if (!found) return cell(colours.unmeasured, "", colours.ink);
      return {
        ...shaded(found.count / found.seeds, String(found.count)), state: "over all seeds",
        importance: "–", survival: inWords(who, place), attention: "–",
      };
    });
  }

  const count = (mask) => mask.split("1").length - 1;

  function scores() {
    const search = trail(), now = Number(at("round").value);
    return search.rounds.map((round, number) => ({
      round: number, score: round.score, floor: search.floor, accepted: round.accepted,
      phase: phases[round.phase][0], shape: phases[round.phase][1], heads: count(round.heads), MLPs: count(round.mlps),
      verdict: round.accepted ? "accepted" : "under the floor: taken back", now: number === now,
    }));
  }

  // --- show -------------------------------------------------------------------------------------

  async function fill(name, data, rows) {
    const width = at(name).closest("section").clientWidth, drawn = views[name];
    if (drawn && drawn.width === width) {
      await (await drawn.view).data(data, rows).runAsync();
      return;
    }
    const spec = {...charts[name.split("-")[0]], datasets: {[data]: rows}, width};
    const embedded = vegaEmbed(at(name), spec, {actions: false, renderer: "svg"});
    views[name] = {width, view: embedded.then(({view}) => view)};
    (await views[name].view).addEventListener("click", (_, item) => chosenIn(item && item.datum));
  }

  function chosenIn(datum) {
    if (datum && datum.column) {
      chooseUnit(datum.layer, datum.column);
    } else if (datum && datum.verdict) {
      at("round").value = datum.round;
      show();
    }
  }

  async function show() {
    const shown = {"theirs": theirsNow(), "theirs-seeds": overSeeds("theirs")};
    if (ran) {
      shown["ours"] = oursNow();
      shown["ours-seeds"] = overSeeds("ours");
    }
    const task = at("task").value, seed = at("seed").value;
    at("theirs-title").textContent = `Authors' BERT-base, seed ${seed}`;
    const five = authors[task].survival[at("mode").value].seeds;
    at("theirs-seeds-title").textContent = `Authors: seeds of ${five} that keep it`;
    if (ran) {
      const search = trail(), number = Number(at("round").value), round = search.rounds[number];
      const last = search.rounds.length - 1;
      const seeds = Object.keys(tasks[task].seeds).length;
      at("shown").textContent = `${number} of ${last}`;
      at("round").setAttribute("aria-valuetext", `round ${number} of ${last}`);
      at("ours-title").textContent = `This run, seed ${seed}, round ${number}`;
      at("ours-seeds-title").textContent = `This run: seeds of ${seeds} that keep it`;
      const verdict = number === 0 ? "This is the full model."
        : number === search.good ? "This is the good subnetwork, the last one above the floor."
        : round.accepted ? "Not below the floor: the search goes on from here."
        : "Below the floor: the search takes this round back.";
      at("status").textContent =
        `Round ${number} of ${last}, which prunes ${phases[round.phase][0]}. ` +
        `${count(round.heads)} of ${round.heads.length} heads and ${count(round.mlps)} of ` +
        `${round.mlps.length} MLPs are left. Score ${round.score.toFixed(3)}, floor ` +
        `${search.floor.toFixed(3)}. ${verdict}`;
    } else {
      const ended = authors[task].seeds[seed][at("mode").value];
      at("status").textContent = `${task}, seed ${seed}: ${count(ended.heads)} of ` +
        `${ended.heads.length} heads and ${count(ended.mlps)} of ${ended.mlps.length} MLPs are kept.`;
    }
    describeOne(shown);
    await Promise.all(Object.entries(shown).map(([name, rows]) => fill(name, "units", rows)));
    if (ran) await fill("score", "rounds", scores());
  }

  function describeOne(shown) {
    const says = [["ours", "This run"], ["theirs", "Authors"]].map(([name, who]) => {
      const one = (shown[name] || []).find(
        (row) => row.layer === String(chosen.layer) && row.column === chosen.column);
      if (!one) return "";
      const more = [one.state, one.importance !== "–" && `importance ${one.importance}`,
        one.survival, one.attention !== "–" && `attention mostly ${one.attention}`];
      return `${who}: ${more.filter(Boolean).join(", ")}.`;
    });
    at("unit").textContent = says.filter(Boolean).join(" ");
  }

  function chooseUnit(layer, column) {
    chosen.layer = layer;
    chosen.column = column;
    at("layer").value = layer;
    at("column").value = column;
    show();
  }

  function play() {
    if (playing) {
      clearInterval(playing);
      playing = null;
    } else {
      if (at("round").value === at("round").max) at("round").value = 0;
      playing = setInterval(() => {
        at("round").stepUp();
        show();
        if (at("round").value === at("round").max) play();
      }, 700);
    }
    at("play").textContent = playing ? "Pause" : "Play";
    at("play").setAttribute("aria-pressed", String(Boolean(playing)));
  }

  const [layers, heads] = Object.values(shapes).reduce(
    ([a, b], [c, d]) => [Math.max(a, c), Math.max(b, d)], [0, 0]);
  offer("task", Object.keys(ran ? tasks : authors).map((task) => [task, task]));
  offer("layer", [...Array(layers).keys()].map((n) => [String(n), String(n)]));
  offer("column", [...[...Array(heads).keys()].map((n) => [String(n), `head ${n}`]), ["MLP", "MLP"]]);
  at("task").addEventListener("change", chooseTask);
  at("seed").addEventListener("change", chooseSeed);
  at("mode").addEventListener("change", chooseMode);
  at("layer").addEventListener("change", () => chooseUnit(at("layer").value, chosen.column));
  at("column").addEventListener("change", () => chooseUnit(chosen.layer, at("column").value));
  if (ran) {
    at("estimator").addEventListener("change", chooseSearch);
    at("round").addEventListener("input", show);
    at("play").addEventListener("click", play);
    at("phases").textContent = "Each point is a round. What it prunes: " +
      Object.values(phases).map(([words, , sign]) => `${sign} ${words}`).join(", ") +
      ". Hollow: under the floor.";
  }
  await chooseTask();
  const place = document.querySelector(".explorer-charts");
  let width = place.clientWidth;
  new ResizeObserver(() => {  // a change of height is the charts' own
    if (place.clientWidth !== width) {
      width = place.clientWidth;
      show();
    }
  }).observe(place);
  at("status").closest("#explorer").dataset.ready = "true";
})();
