// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// Traces light through a scene of spheres, in fixed point: signed products and quotients, a square root per hit.
contract PathTracer {
    int256 private constant ONE = 1e6;
    int256 private constant FAR = 1e12;

    struct Vector {
        int256 x;
        int256 y;
        int256 z;
    }

    struct Ray {
        Vector origin;
        Vector direction;
    }

    struct Sphere {
        Vector center;
        int256 radius;
        Vector color;
        int256 light;
        uint256 surface;
    }

    Sphere[] private spheres;
    uint256 private seed;

    constructor() {
        add(Vector(0, -100 * ONE - ONE, 8 * ONE), 100 * ONE, Vector(750000, 750000, 700000), 0, 0);
        add(Vector(0, 100 * ONE + 9 * ONE, 8 * ONE), 100 * ONE, Vector(700000, 750000, 750000), 0, 0);
        add(Vector(-100 * ONE - 5 * ONE, 0, 8 * ONE), 100 * ONE, Vector(750000, 250000, 250000), 0, 0);
        add(Vector(100 * ONE + 5 * ONE, 0, 8 * ONE), 100 * ONE, Vector(250000, 250000, 750000), 0, 0);
        add(Vector(0, 0, 100 * ONE + 13 * ONE), 100 * ONE, Vector(750000, 750000, 750000), 0, 0);
        add(Vector(-2 * ONE, 500000, 9 * ONE), 3 * ONE / 2, Vector(990000, 990000, 990000), 0, 1);
        add(Vector(2 * ONE, 500000, 7 * ONE), 3 * ONE / 2, Vector(600000, 900000, 600000), 0, 0);
        add(Vector(0, 15 * ONE, 8 * ONE), 7 * ONE, Vector(900000, 900000, 900000), 6 * ONE, 0);
    }

    function add(Vector memory center, int256 radius, Vector memory color, int256 light, uint256 surface) private {
        spheres.push(Sphere(center, radius, color, light, surface));
    }

    /// A picture of `width` by `height`, `samples` rays for each pixel; returns the sum of its colours.
    function render(int256 width, int256 height, uint256 samples) external returns (int256, int256, int256) {
        Vector memory sum = Vector(0, 0, 0);
        for (int256 y = 0; y < height; ++y) {
            for (int256 x = 0; x < width; ++x) {
                Vector memory pixel = pixelAt(x, y, width, height, samples);
                sum = plus(sum, pixel);
            }
        }
        return (sum.x, sum.y, sum.z);
    }

    function pixelAt(int256 x, int256 y, int256 width, int256 height, uint256 samples)
        private
        returns (Vector memory color)
    {
        color = Vector(0, 0, 0);
        for (uint256 i = 0; i < samples; ++i) {
            int256 dx = ((2 * x - width) * ONE + jitter()) / height;
            int256 dy = ((height - 2 * y) * ONE + jitter()) / height;
            Ray memory ray = Ray(Vector(0, 2 * ONE, -3 * ONE), unit(Vector(dx, dy, 2 * ONE)));
            color = plus(color, trace(ray, 0));
        }
        int256 count = int256(samples);
        color = Vector(color.x / count, color.y / count, color.z / count);
    }

    function trace(Ray memory ray, uint256 depth) private returns (Vector memory) {
        (uint256 hit, int256 distance) = nearest(ray);
        if (distance == FAR) return Vector(50000, 60000, 80000);
        Sphere storage sphere = spheres[hit];
        Vector memory color = sphere.color;
        if (sphere.light > 0) return scale(color, sphere.light);
        if (depth >= 3) return Vector(0, 0, 0);
        Vector memory point = plus(ray.origin, scale(ray.direction, distance));
        Vector memory normal = unit(minus(point, sphere.center));
        if (dot(normal, ray.direction) > 0) normal = scale(normal, -ONE);
        Vector memory next;
        if (sphere.surface == 1) {
            next = minus(ray.direction, scale(normal, 2 * dot(normal, ray.direction)));
        } else {
            Vector memory spread = Vector(jitter(), jitter(), jitter());
            next = unit(plus(normal, unit(plus(spread, Vector(1, 1, 1)))));
        }
        Vector memory light = trace(Ray(point, next), depth + 1);
        return Vector(light.x * color.x / ONE, light.y * color.y / ONE, light.z * color.z / ONE);
    }

    function nearest(Ray memory ray) private view returns (uint256 hit, int256 distance) {
        distance = FAR;
        uint256 count = spheres.length;
        for (uint256 i = 0; i < count; ++i) {
            int256 found = intersect(spheres[i], ray);
            if (found != 0 && found < distance) (hit, distance) = (i, found);
        }
    }

    function intersect(Sphere storage sphere, Ray memory ray) private view returns (int256) {
        Vector memory toCenter = minus(sphere.center, ray.origin);
        int256 along = dot(toCenter, ray.direction);
        int256 radius = sphere.radius;
        int256 inside = along * along / ONE - dot(toCenter, toCenter) + radius * radius / ONE;
        if (inside < 0) return 0;
        int256 half = root(inside * ONE);
        if (along - half > 1000) return along - half;
        return along + half > 1000 ? along + half : int256(0);
    }

    function jitter() private returns (int256) {
        seed = (seed * 1103515245 + 12345) & 0x7fffffff;
        return int256(seed % 2000000) - ONE;
    }

    function plus(Vector memory a, Vector memory b) private pure returns (Vector memory) {
        return Vector(a.x + b.x, a.y + b.y, a.z + b.z);
    }

    function minus(Vector memory a, Vector memory b) private pure returns (Vector memory) {
        return Vector(a.x - b.x, a.y - b.y, a.z - b.z);
    }

    function scale(Vector memory a, int256 by) private pure returns (Vector memory) {
        return Vector(a.x * by / ONE, a.y * by / ONE, a.z * by / ONE);
    }

    function dot(Vector memory a, Vector memory b) private pure returns (int256) {
        return (a.x * b.x + a.y * b.y + a.z * b.z) / ONE;
    }

    function unit(Vector memory a) private pure returns (Vector memory) {
        int256 length = root(a.x * a.x + a.y * a.y + a.z * a.z);
        return Vector(a.x * ONE / length, a.y * ONE / length, a.z * ONE / length);
    }

    /// Square root by Newton's method from above.
    function root(int256 a) private pure returns (int256 x) {
        if (a == 0) return 1;
        x = (a + 1) / 2;
        if (x > 1e9) x = 1e9;
        int256 last = a;
        while (x < last) (last, x) = (x, (a / x + x) / 2);
        return last;
    }
}
