// A page as a shop would have it, rendered with React: navigation, forty products with prices and tags, a footer.
import { createRequire } from 'node:module'

// scripts/packages.sh puts React there.
export const require = createRequire(new URL('../../../.make/npm/', import.meta.url))
const { createElement: h } = require('react')

const SECTIONS = ['Books', 'Music', 'Garden', 'Kitchen', 'Tools', 'Toys', 'Games', 'Sale']
const TAGS = ['new', 'used', 'rare', 'large', 'light', 'handmade']

function Navigation({ current }) {
  const items = SECTIONS.map((name) =>
    h('li', { key: name, className: name === current ? 'item active' : 'item' }, h('a', { href: `/${name}` }, name)),
  )
  return h('nav', { className: 'navigation' }, h('ul', null, items))
}

function Product({ number }) {
  const price = ((number * 7919) % 10000) / 100
  const tags = TAGS.filter((_, index) => (number >> index) % 2 === 1)
  return h(
    'article',
    { className: 'product', id: `product-${number}`, 'data-price': price },
    h('h2', null, h('a', { href: `/products/${number}` }, `Product <${number}> & more`)),
    h('img', { src: `/images/${number}.webp`, alt: `Picture of product ${number}`, width: 320, height: 240 }),
    h('p', { style: { color: price < 20 ? 'red' : 'black', fontWeight: 'bold' } }, `${price.toFixed(2)} EUR`),
    h('ul', null, tags.map((tag) => h('li', { key: tag, className: 'tag' }, tag))),
    h('button', { type: 'button', disabled: number % 9 === 0 }, 'Add to cart'),
  )
}

export function Page({ path }) {
  const products = Array.from({ length: 40 }, (_, number) => h(Product, { key: number, number }))
  return h(
    'html',
    { lang: 'en' },
    h('head', null, h('title', null, `Shop: ${path}`), h('meta', { charSet: 'utf-8' })),
    h('body', null, h(Navigation, { current: 'Books' }), h('main', null, products), h('footer', null, 'The end')),
  )
}

export const element = (path) => h(Page, { path })
