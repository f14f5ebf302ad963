// Makes elements. Text is inserted as text and never as markup, since callers may be hostile.

/**
 * Make an element.
 * @param {string} tag
 * @param {Object<string, string|number|boolean|null|undefined|function>} attributes functions become listeners
 *   ("onclick"); false, null and undefined are left out
 * @param {...(Node|string|number|null|undefined|false)} children
 */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, String(value));
  }
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return element;
}

/**
 * Text of unknown language within a sentence: it keeps its own direction and does not turn the words around it.
 * @param {string} text
 */
export function bdi(text) {
  return el("bdi", {}, text);
}

/** Change a text only when it is another one: this keeps the user's selection and does not disturb a screen reader. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * Make a parent's children those wanted, in their order, moving as little as possible: the focus stays where it is.
 * @param {Element} parent
 * @param {Element[]} wanted
 */
export function arrange(parent, wanted) {
  const keep = new Set(wanted);
  for (const child of [...parent.children]) if (!keep.has(child)) child.remove();
  wanted.forEach((child, place) => {
    if (parent.children[place] !== child) parent.insertBefore(child, parent.children[place] ?? null);
  });
}

/** Tell people who listen to the page what has changed. */
export function announce(text) {
  setText(document.getElementById("status"), text);
}
