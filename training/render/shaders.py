"""GLSL for the portrait renderer: shadow depth, shading, background, and the exact motion of every pixel."""

LIGHT_COUNT = 7
SHADOW_COLUMNS, SHADOW_ROWS = 4, 2

DEPTH_VERTEX = """#version 330
in vec3 position; in vec2 uv; uniform mat4 view_projection; out vec2 texture_at; invariant gl_Position;
void main() { texture_at = uv; gl_Position = view_projection * vec4(position, 1); }"""

DEPTH_FRAGMENT = """#version 330
in vec2 texture_at; uniform sampler2D diffuse; uniform float cut;
void main() { if (cut > 0.0 && texture(diffuse, texture_at).a < cut) discard; }"""

SHADE_VERTEX = """#version 330
in vec3 position; in vec3 normal; in vec2 uv; uniform mat4 view_projection;
out vec3 world; out vec3 world_normal; out vec2 texture_at; invariant gl_Position;
void main() { world = position; world_normal = normal; texture_at = uv; gl_Position = view_projection * vec4(position, 1); }"""

# kind: 0 cloth, 1 skin, 2 hair, 3 mouth, 4 eye, 5 brow and lash
SHADE_FRAGMENT = f"""#version 330
#define LIGHTS {LIGHT_COUNT}
uniform mat4 light_view[LIGHTS]; uniform vec3 light_direction[LIGHTS]; uniform vec3 light_colour[LIGHTS];
uniform sampler2DShadow shadow; uniform sampler2D diffuse;
uniform vec3 eye; uniform vec3 tint; uniform int kind; uniform float roughness; uniform float f0; uniform float bump;
uniform float cut; uniform int blended; uniform float exposure;
in vec3 world; in vec3 world_normal; in vec2 texture_at; out vec4 colour;
float lit(int i, vec3 p) {{
  vec3 s = clamp((light_view[i] * vec4(p, 1)).xyz * 0.5 + 0.5, vec3(0.004), vec3(0.996));
  vec2 tile = vec2(float(i % {SHADOW_COLUMNS}), float(i / {SHADOW_COLUMNS}));
  vec2 at = (tile + s.xy) / vec2({SHADOW_COLUMNS}.0, {SHADOW_ROWS}.0);
  return texture(shadow, vec3(at, s.z - 0.0045));
}}
float ggx(float nh, float a) {{ float a2 = a * a; float d = nh * nh * (a2 - 1.0) + 1.0; return a2 / (3.14159 * d * d); }}
vec3 tone(vec3 x) {{ x *= exposure; return clamp((x * (2.51 * x * 0.6 + 0.03)) / (x * (2.43 * x * 0.6 + 0.59) + 0.14), 0.0, 1.0); }}
void main() {{
  vec4 texel = texture(diffuse, texture_at);
  if (cut > 0.0 && blended == 0 && texel.a < cut) discard;
  vec3 V = normalize(eye - world), N = normalize(world_normal);
  if (!gl_FrontFacing) N = -N;
  vec3 flat_normal = N;
  if (bump > 0.0) {{
    float h = dot(texel.rgb, vec3(0.33)); vec3 dx = dFdx(world), dy = dFdy(world); float hx = dFdx(h), hy = dFdy(h);
    vec3 r1 = cross(dy, N), r2 = cross(N, dx); float det = dot(dx, r1);
    N = normalize(abs(det) * N - bump * sign(det) * (hx * r1 + hy * r2));
  }}
  vec3 albedo = pow(texel.rgb, vec3(2.2)) * tint, diffuse_light = vec3(0), specular = vec3(0);
  float a = roughness * roughness, nv = max(dot(N, V), 0.02);
  vec3 strand = normalize(cross(N, vec3(0, 0, 1)) + 1e-4); strand = normalize(cross(strand, N));
  // light bleeds further into skin the redder it is; hair scatters too
  vec3 wrap = kind == 1 ? vec3(0.38, 0.20, 0.14) : (kind == 2 ? vec3(0.45) : vec3(0.0));
  for (int i = 0; i < LIGHTS; i++) {{
    float nl = dot(N, light_direction[i]);
    vec3 reach = max((vec3(nl) + wrap) / ((1.0 + wrap) * (1.0 + wrap)), 0.0);
    if (reach.r <= 0.0) continue;
    float v = lit(i, world + flat_normal * 0.014); if (v <= 0.0) continue;
    diffuse_light += light_colour[i] * reach * v;
    if (f0 <= 0.0) continue;
    vec3 H = normalize(light_direction[i] + V); float fresnel = f0 + (1.0 - f0) * pow(1.0 - max(dot(V, H), 0.0), 5.0);
    if (kind == 2) {{
      float th = dot(strand, H), s = sqrt(max(1.0 - th * th, 0.0));
      specular += light_colour[i] * v * (pow(s, 60.0) * 0.05 * vec3(1) + pow(s, 14.0) * 0.28 * albedo) * smoothstep(-0.2, 0.4, nl);
    }} else if (nl > 0.0) {{
      float nh = max(dot(N, H), 0.0), k = a * 0.5, G = 1.0 / ((nv * (1.0 - k) + k) * (nl * (1.0 - k) + k) * 4.0);
      float D = kind == 1 ? mix(ggx(nh, a), ggx(nh, a * 0.4), 0.25) : ggx(nh, a);
      specular += light_colour[i] * v * D * G * fresnel * nl;
    }}
  }}
  if (kind == 3) diffuse_light += vec3(0.34, 0.31, 0.30) * (0.35 + 0.65 * max(N.z, 0.0));
  float alpha = blended == 1 ? clamp(texel.a, 0.0, 1.0) : 1.0;
  vec3 linear_colour = albedo * diffuse_light + specular;
  if (kind == 4) alpha = clamp(texel.a + max(specular.r, max(specular.g, specular.b)) * (1.0 - texel.a), 0.0, 1.0);
  colour = vec4(pow(tone(linear_colour), vec3(1.0 / 2.2)), alpha);
}}"""

QUAD_VERTEX = """#version 330
in vec2 corner; out vec2 at; void main() { at = corner * 0.5 + 0.5; gl_Position = vec4(corner, 0.9999, 1); }"""

BACKGROUND_FRAGMENT = """#version 330
in vec2 at; uniform sampler2D picture; out vec4 colour; void main() { colour = vec4(texture(picture, at).rgb, 1); }"""

MOTION_VERTEX = """#version 330
in vec3 position; in vec4 portrait; in vec2 unposed; in vec2 region; in vec2 uv; uniform mat4 view_projection;
out vec4 portrait_at; out vec2 unposed_at; out vec2 region_at; out vec2 texture_at;
void main() { portrait_at = portrait; unposed_at = unposed; region_at = region; texture_at = uv;
  gl_Position = view_projection * vec4(position, 1); }"""

# portrait is (x, y, depth, 1): where this point of the surface stands in the portrait, in image coordinates -1..1, y down
MOTION_FRAGMENT = """#version 330
in vec4 portrait_at; in vec2 unposed_at; in vec2 region_at; in vec2 texture_at;
uniform sampler2D diffuse; uniform sampler2D portrait_depth; uniform float cut;
layout(location = 0) out vec4 motion; layout(location = 1) out vec4 masks;
void main() {
  if (cut > 0.0 && texture(diffuse, texture_at).a < cut) discard;
  vec2 at = vec2(portrait_at.x, -portrait_at.y) * 0.5 + 0.5;
  float nearest = texture(portrait_depth, at).r * 2.0 - 1.0;
  float inside = step(abs(portrait_at.x), 1.0) * step(abs(portrait_at.y), 1.0);
  motion = vec4(portrait_at.xy, unposed_at);
  masks = vec4(inside * step(portrait_at.z, nearest + 0.0012), 1.0, region_at);
}"""
