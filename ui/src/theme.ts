import {
  convertCssVariables,
  createTheme,
  DEFAULT_THEME,
  defaultCssVariablesResolver,
  type MantineColorSchemeManager,
  type MantineColorsTuple,
  mergeMantineTheme,
} from "@mantine/core";

const petrol: MantineColorsTuple = [
  "#e9f5fa", "#d3e8f1", "#a6d1e3", "#78bad5", "#56a8ca", "#3a93b8", "#1f7ba1", "#0b5c7d", "#094b66", "#063a50",
]; // biome-ignore format: ten shades are read as one row

export const theme = createTheme({
  primaryColor: "petrol",
  colors: { petrol },
  primaryShade: { light: 7, dark: 3 },
  autoContrast: true,
  luminanceThreshold: 0.36,
  fontFamily: "'IBM Plex Sans', system-ui, sans-serif",
  fontFamilyMonospace: "'IBM Plex Mono', ui-monospace, monospace",
  fontSizes: { xs: "0.75rem", sm: "0.8125rem", md: "0.875rem", lg: "1rem", xl: "1.25rem" },
  defaultRadius: "sm",
  respectReducedMotion: true,
  cursorType: "pointer",
  components: {
    Button: { defaultProps: { size: "xs" } },
    TextInput: { defaultProps: { size: "sm" } },
    PasswordInput: {
      // Its own name must not hold "password", or the field could not be told from its button.
      defaultProps: { size: "sm", visibilityToggleButtonProps: { "aria-label": "Show what is typed", tabIndex: 0 } },
    },
    NativeSelect: { defaultProps: { size: "sm" } },
    Modal: {
      // Its lock on scrolling is an inline style sheet, which the page's policy refuses: base.css does it.
      defaultProps: {
        centered: true,
        lockScroll: false,
        overlayProps: { backgroundOpacity: 0.45 },
        transitionProps: { duration: 120 },
      },
    },
  },
});

/**
 * Give the page the theme's variables as a constructed style sheet. Mantine's own way writes `innerHTML` into a style
 * element, which the page's Trusted Types policy rightly refuses.
 */
export function adoptTheme(): void {
  const variables = defaultCssVariablesResolver(mergeMantineTheme(DEFAULT_THEME, theme));
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(convertCssVariables(variables, ":root"));
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
}

/** The colour scheme is the system's; Mantine's default manager would keep it in web storage. */
export const systemScheme: MantineColorSchemeManager = {
  get: () => "auto",
  set: () => undefined,
  subscribe: () => undefined,
  unsubscribe: () => undefined,
  clear: () => undefined,
};
