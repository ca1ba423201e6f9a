import decodeQR from "qr/decode.js";
import { describe, expect, it } from "vitest";
import { drawQr } from "./Qr";

/** Paint the path as a camera sees it, `scale` pixels a module. */
function paint({ size, path }: { size: number; path: string }, scale = 4) {
  const width = size * scale;
  const data = new Uint8Array(width * width * 4).fill(255);
  for (const [, x = "", y = "", wide = ""] of path.matchAll(/M(\d+) (\d+)h(\d+)v1H\d+z/g))
    for (let row = Number(y) * scale; row < (Number(y) + 1) * scale; row += 1)
      for (let column = Number(x) * scale; column < (Number(x) + Number(wide)) * scale; column += 1)
        data.fill(0, (row * width + column) * 4, (row * width + column) * 4 + 3);
  return { width, height: width, data };
}

describe("a QR code", () => {
  it.each([
    "otpauth://totp/Sluicegate%20acme:ada%40example.org?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=Sluicegate%20acme",
    "otpauth://totp/x?secret=A",
  ])("says %s to a camera", (text) => {
    expect(decodeQR(paint(drawQr(text)))).toBe(text);
  });

  it("keeps four modules of quiet around itself", () => {
    const { size, path } = drawQr("otpauth://totp/x?secret=A");
    for (const [, x = "", y = "", wide = ""] of path.matchAll(/M(\d+) (\d+)h(\d+)/g)) {
      expect(Number(x)).toBeGreaterThanOrEqual(4);
      expect(Number(y)).toBeGreaterThanOrEqual(4);
      expect(Number(x) + Number(wide)).toBeLessThanOrEqual(size - 4);
    }
  });
});
