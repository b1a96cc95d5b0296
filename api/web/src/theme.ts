// Dark and light. Grey is normal; the only saturated colours are those of abnormal states (ISA-101).
import { computed, signal } from '@preact/signals'

export type Theme = 'dark' | 'light'

const kept = localStorage.getItem('theme')
export const theme = signal<Theme>(
  kept === 'dark' || kept === 'light' ? kept : matchMedia('(prefers-color-scheme: light)').matches ? 'light' : 'dark',
)

export function applyTheme(): void {
  document.documentElement.dataset.theme = theme.value
}

export function toggleTheme(): void {
  theme.value = theme.value === 'dark' ? 'light' : 'dark'
  localStorage.setItem('theme', theme.value)
  applyTheme()
}

/** Colours of the map; the same names are CSS variables of the page. */
export const colours = computed(() =>
  theme.value === 'dark'
    ? {
        ground: '#15191d',
        zone: '#1d242a',
        zoneLine: '#3a464f',
        pipe: '#46535d',
        feeder: '#5d5a46',
        normal: '#93a1ab',
        normalDeep: '#4d5c67',
        text: '#c9d2d8',
        halo: '#15191d',
        critical: '#ff5a52',
        major: '#ff9f1c',
        minor: '#ffd84d',
        warning: '#7cc4ff',
        crew: '#b9a7ff',
      }
    : {
        ground: '#e9ecee',
        zone: '#dfe3e6',
        zoneLine: '#b0b8be',
        pipe: '#a5afb6',
        feeder: '#bdb58f',
        normal: '#66747e',
        normalDeep: '#98a4ac',
        text: '#27323a',
        halo: '#f5f7f8',
        critical: '#c4161c',
        major: '#c05800',
        minor: '#8a6d00',
        warning: '#0b66b0',
        crew: '#5b3fc4',
      },
)
