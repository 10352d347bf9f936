// Runs in the page that is looked at, and returns what tests/bench/check_page judges. It computes nothing
// that the page itself says: only what a reader would see.
(() => {
  const root = document.documentElement;

  const channels = (colour) => colour.match(/[\d.]+/g).map(Number);
  const luminance = (colour) => {
    const [r, g, b] = channels(colour).map((value) => {
      const share = value / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (one, other) => {
    const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  // The first background behind the element that is not transparent.
  const background = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      const parts = channels(colour);
      if (parts.length < 4 || parts[3] > 0) return colour;
    }
    return 'rgb(255, 255, 255)';
  };

  for (const details of document.querySelectorAll('details')) details.open = true;

  const texts = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    const words = walker.currentNode.textContent.trim();
    if (!words || element.closest('style, title, desc')) continue;
    const style = getComputedStyle(element);
    const colour = element.closest('svg') ? style.fill : style.color;
    const box = element.getBoundingClientRect();
    texts.push({
      words,
      contrast: contrast(colour, background(element)),
      height: box.height,
      size: parseFloat(style.fontSize) * (element.ownerSVGElement
        ? element.ownerSVGElement.getBoundingClientRect().width / element.ownerSVGElement.viewBox.baseVal.width : 1),
    });
  }

  // What of a drawing lies outside of it, or text on other text.
  const outside = [];
  const overlapping = [];
  const plots = [...document.querySelectorAll('svg.plot')].map((svg) => {
    const frame = svg.getBoundingClientRect();
    const labels = [...svg.querySelectorAll('text')];
    for (const element of [...labels, ...svg.querySelectorAll('.mark')]) {
      const box = element.getBoundingClientRect();
      const slack = 0.5;
      if (box.left < frame.left - slack || box.right > frame.right + slack ||
          box.top < frame.top - slack || box.bottom > frame.bottom + slack) {
        outside.push(`${svg.id}: ${element.textContent}`);
      }
    }
    labels.forEach((one, index) => {
      const a = one.getBoundingClientRect();
      for (const other of labels.slice(index + 1)) {
        const b = other.getBoundingClientRect();
        if (a.left < b.right && b.left < a.right && a.top + 3 < b.bottom && b.top + 3 < a.bottom) {
          overlapping.push(`${svg.id}: ${one.textContent} / ${other.textContent}`);
        }
      }
    });
    return {
      id: svg.id,
      width: frame.width,
      height: frame.height,
      role: svg.getAttribute('role'),
      labelled: (svg.getAttribute('aria-labelledby') || '').split(' ')
        .map((id) => (document.getElementById(id) || {textContent: ''}).textContent),
      marks: [...svg.querySelectorAll('.mark')].map((mark) => {
        const drawn = mark.querySelector('circle, rect, polygon').getBoundingClientRect();
        const style = getComputedStyle(mark);
        return {
          cell: mark.dataset.cell,
          words: mark.querySelector('title').textContent,
          x: drawn.left + drawn.width / 2 - frame.left,
          y: drawn.top + drawn.height / 2 - frame.top,
          width: drawn.width,
          contrast: contrast(style.stroke, background(svg)),
        };
      }),
    };
  });

  return {
    dark: matchMedia('(prefers-color-scheme: dark)').matches,
    width: innerWidth,
    scrollWidth: root.scrollWidth,
    background: getComputedStyle(document.body).backgroundColor,
    luminance: luminance(getComputedStyle(document.body).backgroundColor),
    viewport: document.querySelector('meta[name=viewport]').content,
    scripts: document.scripts.length,
    links: [...document.querySelectorAll('[src], link[href], a[href], image, use')]
      .map((element) => element.getAttribute('src') || element.getAttribute('href'))
      .filter((link) => !/^data:/.test(link)),
    notFinite: (root.outerHTML.match(/NaN|Infinity|undefined|\bNone\b/g) || []).length,
    texts,
    outside,
    overlapping,
    plots,
    rows: [...document.querySelectorAll('#cells tbody tr')].map((row) => ({
      cell: row.dataset.cell,
      text: row.textContent,
      figures: Object.fromEntries([...row.querySelectorAll('[data-figure]')]
        .map((entry) => [entry.dataset.figure, entry.textContent])),
    })),
    missing: [...document.querySelectorAll('.missing li')].map((item) => [item.dataset.cell, item.textContent]),
    answers: [...document.querySelectorAll('[data-expectation]')].map((item) => ({
      name: item.dataset.expectation,
      verdict: item.querySelector('.verdict').textContent,
      figures: [...item.querySelectorAll('li')].map((figure) => figure.textContent),
    })),
    tableBox: (() => {
      const box = document.querySelector('.scroll');
      return {client: box.clientWidth, scroll: box.scrollWidth, overflow: getComputedStyle(box).overflowX};
    })(),
  };
})()
