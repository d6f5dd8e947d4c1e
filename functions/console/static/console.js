'use strict';
// What makes the console quicker to use. Every page works without it.

// say tells those who do not see the page what has changed in it.
function say(text) { document.getElementById('said').textContent = text; }

// load fetches a page of ours, as a document. What is none of our pages any more (a session that is over) is an error.
async function load(url) {
  const response = await fetch(url, {credentials: 'same-origin', redirect: 'manual'});
  if (response.type === 'opaqueredirect') throw new Error('Signed out');
  if (!response.ok && response.status !== 422) throw new Error('No answer');
  return new DOMParser().parseFromString(await response.text(), 'text/html');
}

// replace takes one element of a page from another one's. Whoever has the focus within keeps it.
function replace(page, selector) {
  const fresh = page.querySelector(selector);
  const old = document.querySelector(selector);
  if (!fresh || !old || old.isEqualNode(fresh)) return;
  const focused = old.contains(document.activeElement) ? document.activeElement : null;
  const open = [...old.querySelectorAll('details')].map(d => d.open);
  const scrolled = [...old.querySelectorAll('.scroll, pre')].map(s => s.scrollLeft);
  const said = old.querySelector('[data-say]')?.textContent;
  old.replaceWith(document.importNode(fresh, true));
  const now = document.querySelector(selector);
  now.querySelectorAll('details').forEach((d, i) => { if (i < open.length) d.open = open[i]; });
  now.querySelectorAll('.scroll, pre').forEach((s, i) => { s.scrollLeft = scrolled[i] || 0; });
  if (focused && focused.href) [...now.querySelectorAll('a')].find(a => a.href === focused.href)?.focus();
  const news = now.querySelector('[data-say]')?.textContent;
  if (news && news !== said) say(news);
}

// Parts that look again by themselves, all at once, while somebody looks at them, has not stopped it and selects nothing.
function watch() {
  const parts = () => [...document.querySelectorAll('[data-live]')];
  const state = document.querySelector('[data-live-state]');
  if (!parts().length || !state) return;
  const word = state.querySelector('[data-live-word]');
  const toggle = state.querySelector('[data-live-toggle]');
  let paused = false, failures = 0;
  const show = (text, tone) => { word.textContent = text; state.className = 'live ' + tone; };
  const again = async () => {
    if (!paused && !document.hidden && document.getSelection().isCollapsed) {
      const url = location.href;
      try {
        const page = await load(url);
        if (url === location.href && !paused) parts().forEach(p => replace(page, '#' + p.id));
        failures = 0;
        if (!paused) show('Live', '');
      } catch (error) {
        failures++;
        show(error.message === 'Signed out' ? 'Signed out: load the page again' : 'No answer: this is not the newest', 'stale');
      }
    }
    const waits = parts().map(p => Number(p.dataset.live));
    if (!waits.length) { state.hidden = true; return; } // what was watched has come to its end
    setTimeout(again, Math.min(...waits) * Math.min(2 ** failures, 16));
  };
  toggle.addEventListener('click', () => {
    paused = !paused;
    toggle.textContent = paused ? 'Go on' : 'Pause';
    show(paused ? 'Paused' : 'Live', paused ? 'paused' : '');
  });
  state.hidden = false;
  setTimeout(again, Math.min(...parts().map(p => Number(p.dataset.live))));
}
watch();

// Searches that answer while one types.
document.querySelectorAll('form[data-search]').forEach(form => {
  let wait, asked = 0;
  const search = () => {
    clearTimeout(wait);
    wait = setTimeout(async () => {
      const url = form.getAttribute('action') + '?' + new URLSearchParams(new FormData(form));
      const mine = ++asked;
      history.replaceState(null, '', url);
      try {
        const page = await load(url);
        if (mine === asked) replace(page, form.dataset.search);
      } catch { form.submit(); }
    }, 200);
  };
  form.addEventListener('input', search);
});

// Forms that ask first.
document.addEventListener('submit', event => {
  const question = event.target.dataset.confirm;
  if (question && !confirm(question)) event.preventDefault();
});

// Copying a secret.
document.querySelectorAll('[data-copy]').forEach(button => {
  if (!navigator.clipboard) return;
  button.hidden = false;
  button.addEventListener('click', async () => {
    await navigator.clipboard.writeText(button.parentElement.querySelector('code').textContent);
    button.textContent = 'Copied';
    say('Copied');
  });
});

// Lists that are put in order: by the buttons, by the arrow keys with Alt, and by dragging with a mouse, a pen or a finger.
document.querySelectorAll('[data-sort]').forEach(list => {
  const number = () => [...list.children].forEach((item, i) => {
    item.querySelectorAll('[data-move]').forEach(b => { b.value = b.dataset.move + ' ' + i; });
  });
  const tell = item => {
    number();
    say(item.querySelector('.name').textContent + ': place ' + ([...list.children].indexOf(item) + 1) + ' of ' + list.children.length);
  };
  const move = (item, where) => {
    if (where === 'up') item.previousElementSibling?.before(item);
    if (where === 'down') item.nextElementSibling?.after(item);
    tell(item);
  };
  list.classList.add('ready');
  list.parentElement.querySelectorAll('[data-how]').forEach(hint => { hint.hidden = list.children.length < 2; });
  list.addEventListener('click', event => {
    const button = event.target.closest('[data-move]');
    if (!button || button.dataset.move === 'remove') return; // the server knows who may be added then
    event.preventDefault();
    move(button.closest('li'), button.dataset.move);
    button.focus();
  });
  list.addEventListener('keydown', event => {
    const where = {ArrowUp: 'up', ArrowDown: 'down'}[event.key];
    const item = event.target.closest('li');
    if (!where || !event.altKey || !item) return;
    event.preventDefault();
    const focused = document.activeElement;
    move(item, where);
    focused.focus();
  });
  // What is dragged stays in its place of the document, or its pointer would be lost; the others go around it.
  let dragged, before;
  const middle = item => { const box = item.getBoundingClientRect(); return box.top + box.height / 2; };
  list.addEventListener('pointerdown', event => {
    const item = event.target.closest('li');
    if (!item || event.button !== 0 || event.target.closest('button')) return;
    if (event.pointerType !== 'mouse' && !event.target.closest('.grip')) return; // elsewhere a finger scrolls
    dragged = item;
    before = [...list.children];
    list.setPointerCapture(event.pointerId);
    dragged.classList.add('dragged');
  });
  list.addEventListener('pointermove', event => {
    if (!dragged) return;
    for (let other; (other = dragged.previousElementSibling) && event.clientY < middle(other);) dragged.after(other);
    for (let other; (other = dragged.nextElementSibling) && event.clientY > middle(other);) dragged.before(other);
    if (event.clientY < 48) scrollBy(0, -12);
    if (event.clientY > innerHeight - 48) scrollBy(0, 12);
  });
  const drop = keep => {
    if (!dragged) return;
    const item = dragged;
    dragged = null;
    item.classList.remove('dragged');
    if (!keep) list.append(...before);
    tell(item);
  };
  list.addEventListener('pointerup', () => drop(true));
  list.addEventListener('pointercancel', () => drop(false));
  document.addEventListener('keydown', event => { if (event.key === 'Escape') drop(false); });
});
