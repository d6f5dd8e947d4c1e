'use strict';
// What makes the console quicker to use. Every page works without it.

// part fetches a page and replaces one of its elements by what it is there now. Whoever has the focus within keeps it.
async function part(url, selector) {
  const response = await fetch(url, {credentials: 'same-origin', redirect: 'error'});
  if (!response.ok && response.status !== 422) return;
  const fresh = new DOMParser().parseFromString(await response.text(), 'text/html').querySelector(selector);
  const old = document.querySelector(selector);
  if (!fresh || !old || old.isEqualNode(fresh)) return;
  const focused = old.contains(document.activeElement) ? document.activeElement : null;
  const open = [...old.querySelectorAll('details')].map(d => d.open);
  const scrolled = [...old.querySelectorAll('.scroll, pre')].map(s => s.scrollLeft);
  old.replaceWith(document.importNode(fresh, true));
  const now = document.querySelector(selector);
  now.querySelectorAll('details').forEach((d, i) => { if (i < open.length) d.open = open[i]; });
  now.querySelectorAll('.scroll, pre').forEach((s, i) => { s.scrollLeft = scrolled[i] || 0; });
  if (focused && focused.href) [...now.querySelectorAll('a')].find(a => a.href === focused.href)?.focus();
}

// Parts that look again by themselves, while somebody looks at them and selects nothing in them.
function watch(element) {
  const selector = '#' + element.id;
  const again = async () => {
    const there = document.querySelector(selector);
    if (!there || !there.dataset.live) return;
    const selecting = !document.getSelection().isCollapsed;
    if (!document.hidden && !selecting) {
      try { await part(location.href, selector); } catch { /* the next time */ }
    }
    setTimeout(again, Number(there.dataset.live));
  };
  setTimeout(again, Number(element.dataset.live));
}
document.querySelectorAll('[data-live]').forEach(watch);

// Searches that answer while one types.
document.querySelectorAll('form[data-search]').forEach(form => {
  let wait, asked = 0;
  const search = () => {
    clearTimeout(wait);
    wait = setTimeout(async () => {
      const url = form.getAttribute('action') + '?' + new URLSearchParams(new FormData(form));
      const mine = ++asked;
      history.replaceState(null, '', url);
      try { if (mine === asked) await part(url, form.dataset.search); } catch { form.submit(); }
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
  });
});

// Lists that are put in order: by the buttons, by the arrow keys with Alt, and by dragging.
document.querySelectorAll('[data-sort]').forEach(list => {
  const number = () => [...list.children].forEach((item, i) => {
    item.querySelectorAll('[data-move]').forEach(b => { b.value = b.dataset.move + ' ' + i; });
  });
  const move = (item, where) => {
    if (where === 'up' && item.previousElementSibling) list.insertBefore(item, item.previousElementSibling);
    if (where === 'down' && item.nextElementSibling) list.insertBefore(item.nextElementSibling, item);
    number();
  };
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
  let dragged;
  list.addEventListener('dragstart', event => {
    dragged = event.target.closest('li');
    event.dataTransfer.effectAllowed = 'move';
    dragged.classList.add('dragged');
  });
  list.addEventListener('dragover', event => {
    const over = event.target.closest('li');
    if (!dragged) return;
    event.preventDefault();
    if (!over || over === dragged) return;
    const middle = over.getBoundingClientRect().top + over.offsetHeight / 2;
    list.insertBefore(dragged, event.clientY < middle ? over : over.nextSibling);
  });
  list.addEventListener('drop', event => event.preventDefault());
  list.addEventListener('dragend', () => {
    dragged?.classList.remove('dragged');
    dragged = null;
    number();
  });
});
