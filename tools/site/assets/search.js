'use strict';

// find returns the sections that have every word of the query, the best first: words of
// a title count more than those of the text, whole words more than beginnings.
function find(sections, query, limit) {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.length) return [];
  const found = [];
  for (const section of sections) {
    const title = section.title.toLowerCase();
    const text = section.text.toLowerCase();
    let score = 0;
    for (const word of words) {
      const inTitle = title.indexOf(word);
      const inText = text.indexOf(word);
      if (inTitle < 0 && inText < 0) {
        score = 0;
        break;
      }
      const whole = t => new RegExp('(^|[^\\p{L}\\p{N}_])' + word.replace(/[.*+?^${}()|[\]\\]/g, '\\$&') + '($|[^\\p{L}\\p{N}_])', 'u').test(t);
      score += (inTitle >= 0 ? 10 : 0) + (inTitle >= 0 && whole(title) ? 10 : 0) + (inText >= 0 ? 1 : 0) + (inText >= 0 && whole(text) ? 2 : 0) + Math.min(text.split(word).length - 1, 9) / 10;
    }
    if (score) found.push({ section, score });
  }
  found.sort((a, b) => b.score - a.score);
  return found.slice(0, limit).map(f => f.section);
}

// around is the part of a text in which a word of the query stands.
function around(text, query) {
  const lower = text.toLowerCase();
  const at = Math.min(...query.toLowerCase().split(/\s+/).filter(Boolean).map(w => lower.indexOf(w)).filter(i => i >= 0), text.length);
  const from = at === text.length ? 0 : Math.max(0, at - 60);
  return (from ? '…' : '') + text.slice(from, from + 200) + (from + 200 < text.length ? '…' : '');
}

function show(query) {
  const results = document.getElementById('results');
  const list = find(sections, query, 12);
  results.hidden = !query.trim();
  results.replaceChildren();
  if (!list.length) {
    const nothing = document.createElement('p');
    nothing.textContent = 'Nothing has all of these words.';
    results.append(nothing);
    return;
  }
  const ol = document.createElement('ol');
  for (const section of list) {
    const item = document.createElement('li');
    const link = document.createElement('a');
    link.href = document.body.dataset.up + section.page + (section.anchor ? '#' + section.anchor : '');
    link.textContent = section.title;
    const text = document.createElement('p');
    text.textContent = around(section.text, query);
    item.append(link, text);
    ol.append(item);
  }
  results.append(ol);
}

if (typeof module !== 'undefined') {
  module.exports = { find, around };
} else {
  const query = document.getElementById('query');
  query.addEventListener('input', () => show(query.value));
  document.getElementById('results').addEventListener('click', e => { if (e.target.closest('a')) document.getElementById('results').hidden = true; });
  document.getElementById('search').addEventListener('submit', e => {
    e.preventDefault();
    const first = document.querySelector('#results a');
    if (first) first.click();
  });
  addEventListener('keydown', e => {
    if (e.key === '/' && !/^(INPUT|TEXTAREA)$/.test(document.activeElement.tagName)) {
      e.preventDefault();
      query.focus();
    }
  });
  if (matchMedia('(max-width: 60rem)').matches) document.querySelector('nav details').open = false;
}
