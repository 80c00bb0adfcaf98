/** Every word of the pages, in English and Chinese: one table, one row a word. */
import { keep, recall } from "./kept.js";

const WORDS = {
  operator: ["Operator", "导播台"],
  // health
  state: ["State", "状态"],
  latency: ["Mic to picture", "延迟"],
  rate: ["Frame rate", "帧率"],
  dropped: ["Lost, 10 s", "10秒丢帧"],
  latency_hint: ["From a sound at the microphone to its picture on this screen", "从麦克风收到声音到本机显示对应画面的时间"],
  rate_hint: ["Pictures shown here in a second; the avatar is made at 25", "本机每秒显示的画面数；数字人按每秒25帧生成"],
  dropped_hint: ["Pictures that were due in the last ten seconds and not made in time", "最近10秒内未能按时生成的画面数"],
  viewers_hint: ["Connections that watch, this one included", "正在观看的连接数，含本机"],
  quality_hint: ["Good: 23 pictures a second or more, within 450 ms. −1, −2, …: how many levels the server has gone down to keep up", "良好：每秒23帧以上且延迟不超过450毫秒。−1、−2等：服务器为保持流畅而降低的档数"],
  quality: ["Quality", "质量"],
  good: ["Good", "良好"],
  fair: ["Fair", "一般"],
  poor: ["Poor", "较差"],
  viewers: ["Viewers", "观众"],
  idle: ["Ready", "就绪"],
  starting: ["Connecting…", "连接中…"],
  live: ["Live", "直播中"],
  stopping: ["Stopping…", "正在停止…"],
  reconnecting: ["Connecting again…", "重新连接中…"],
  still_on_air: ["Still on air", "仍在直播"],
  failed: ["Stopped", "已停止"],
  waiting: ["Waiting", "等待中"],
  blind: ["No picture", "无画面"],
  // stage
  avatar: ["Avatar", "数字人"],
  invite_idle: ["Choose a presenter, press Start and speak. The face follows your voice.", "选择形象，点击“开始”，然后说话，形象会跟随您的声音。"],
  invite_allow: ["Allow the microphone when the browser asks for it.", "请在浏览器提示时允许使用麦克风。"],
  invite_connecting: ["Connecting…", "连接中…"],
  microphone: ["Microphone", "麦克风"],
  level: ["How loud the microphone is", "麦克风音量"],
  start: ["Start", "开始"],
  stop: ["Stop", "停止"],
  try_again: ["Try again", "重试"],
  listen: ["Listen", "监听"],
  headphones: ["use headphones", "请戴耳机"],
  speak_file: ["Speak a file", "播放音频文件"],
  file_sending: ["Sending the file…", "正在上传音频…"],
  stop_file: ["Stop the file", "停止播放"],
  viewer_page: ["Viewer page", "观众页面"],
  operator_page: ["Operator page", "导播页面"],
  presenter: ["Presenter", "主播形象"],
  language: ["中文", "English"],
  waiting_for_show: ["Waiting for a show to begin", "等待直播开始"],
  open_host_page: ["Begin one on the host's page", "在主播页面开始直播"],
  without_host: ["no host", "无主播"],
  end_show: ["End this show", "结束直播"],
  end_show_sure: ["End this show for its host and all viewers? It cannot be begun again.", "确定结束这场直播？主播和所有观众都会断开，结束后无法恢复。"],
  // viewers
  listen_now: ["Turn the sound on", "打开声音"],
  stop_sure: ["End the show for all viewers? It cannot be begun again.", "确定结束直播？所有观众都会断开，结束后无法恢复。"],
  show_not_begun: ["The show has not begun.", "直播尚未开始。"],
  show_unseen: ["The show cannot be shown here: the network may keep it back (UDP). Trying again.", "此处无法显示直播，网络可能拦截了 UDP，正在重试。"],
  show_interrupted: ["The show is interrupted.", "直播暂时中断。"],
  unreached: ["No sound or picture gets through: the network may keep it back (UDP). Press Start to try again.", "声音和画面无法传输，网络可能拦截了 UDP。请点击“开始”重试。"],
  server_silent: ["The server does not answer.", "服务器没有响应。"],
  session: ["Session", "会话"],
  no_sessions: ["none yet", "暂无"],
  // a new presenter
  add: ["Add yours", "添加"],
  add_title: ["A presenter from your photograph", "用照片创建主播形象"],
  add_choose: ["Choose a photograph", "选择照片"],
  add_hint: ["One face, looking ahead, in good light. JPEG, PNG or WebP.", "单人正脸，光线充足。支持 JPEG、PNG、WebP。"],
  add_name: ["Name", "名称"],
  add_consent: ["Why may you use this face?", "您为何可以使用这张面孔？"],
  add_by: ["Your name (kept with the picture, optional)", "您的姓名（随照片保存，可不填）"],
  add_submit: ["Make presenter", "创建"],
  add_looking: ["Looking at the photograph…", "正在检查照片…"],
  cancel: ["Cancel", "取消"],
  consent_choose: ["Please choose", "请选择"],
  consent_self: ["It is me", "照片是我本人"],
  consent_permission: ["The person has agreed", "已获本人同意"],
  consent_generated: ["It is drawn or generated, nobody real", "绘制或生成的形象，并非真人"],
  // panic
  safety: ["At once", "紧急操作"],
  neutral: ["Neutral", "复位"],
  mute: ["Mute", "静音"],
  freeze: ["Freeze", "定格"],
  standby: ["Standby", "待机画面"],
  // head
  head: ["Head", "头部"],
  head_fix: ["Hold still", "固定头部"],
  pad: ["Drag to turn and nod the head, double-click to let go. Arrow keys work too", "拖动控制头部，双击松开；也可用方向键"],
  turn_left: ["Left", "向左"],
  turn_right: ["Right", "向右"],
  ahead: ["Let go", "松开"],
  yaw: ["Turn", "左右"],
  pitch: ["Up, down", "上下"],
  roll: ["Tilt", "倾斜"],
  picture: ["Move the picture", "移动画面"],
  zoom: ["Zoom", "缩放"],
  across: ["Across", "水平"],
  along: ["Height", "垂直"],
  look: ["Look at", "看向"],
  camera: ["Camera", "镜头"],
  product_left: ["Product left", "左侧商品"],
  product_right: ["Product right", "右侧商品"],
  product_below: ["Product below", "下方商品"],
  chat: ["Chat", "弹幕"],
  // gestures
  gestures: ["Gestures", "动作"],
  gesture_cancel: ["End them", "结束动作"],
  amplitude: ["Size", "幅度"],
  speed: ["Speed", "速度"],
  nod: ["Nod", "点头"],
  shake: ["Shake", "摇头"],
  tilt: ["Tilt", "歪头"],
  bow: ["Bow", "鞠躬"],
  greet: ["Greet", "打招呼"],
  look_around: ["Around", "环顾"],
  glance_left: ["Eyes left", "瞥向左"],
  glance_right: ["Eyes right", "瞥向右"],
  wink: ["Wink", "眨单眼"],
  raise_brows: ["Brows up", "挑眉"],
  surprised: ["Surprised", "惊讶"],
  think: ["Think", "思考"],
  laugh: ["Laugh", "大笑"],
  lean_in: ["Lean in", "靠近"],
  // expressions
  expressions: ["Emotions", "表情"],
  smile: ["Smile", "微笑"],
  happy: ["Happy", "开心"],
  sad: ["Sad", "难过"],
  angry: ["Angry", "生气"],
  afraid: ["Afraid", "害怕"],
  disgusted: ["Disgusted", "厌恶"],
  contempt: ["Contempt", "轻蔑"],
  serious: ["Serious", "严肃"],
  eyes_closed: ["Eyes shut", "闭眼"],
  intensity: ["Strength", "强度"],
  stay: ["Stays on", "保持"],
  release_expression: ["Take off", "取消表情"],
  // life
  life: ["Liveliness", "生动度"],
  blink: ["Blink", "眨眼"],
  blink_rate: ["Blinks a minute", "每分钟眨眼"],
  now_mouth: ["Mouth", "口"],
  now_smile: ["Smile", "笑"],
  now_brows: ["Brows", "眉"],
  now_lids: ["Lids", "睑"],
  gain_jaw: ["Jaw", "下颌"],
  gain_lips: ["Lips", "嘴唇"],
  gain_brows: ["Brows", "眉毛"],
  gain_head: ["Head", "头部"],
  style_neutral: ["Normal", "标准"],
  style_energetic: ["Energetic", "活力"],
  style_calm: ["Calm", "沉稳"],
  style_wide_mouth: ["Wide mouth", "口型夸张"],
  gains: ["Jaw, lips, brows, head one by one", "分别调节下颌、嘴唇、眉毛、头部"],
  // gestures of one's own
  record: ["Record", "录制"],
  record_start: ["Start", "开始"],
  record_name: ["Name of the gesture", "动作名称"],
  record_hint: ["Start, then move the face with this panel or a webcam: what you do becomes a gesture. Speech is left out.",
    "点击开始，然后用本面板或摄像头控制面部，所做的内容会保存为动作（不含说话口型）。"],
  keep: ["Keep", "保存"],
  discard: ["Discard", "放弃"],
  gesture_unreadable: ["This file is no gesture.", "该文件不是动作文件。"],
  open_file: ["Open…", "打开…"],
  save_file: ["Save…", "导出…"],
  delete: ["Delete", "删除"],
  edit: ["Edit", "编辑"],
  // layout
  tab_face: ["Face", "表情动作"],
  tab_head: ["Head", "头部"],
  tab_show: ["Show", "节目"],
  // cues, text, sources, operators, devices
  cues: ["Cue sheet", "流程单"],
  cue_go: ["Next cue", "下一条"],
  cue_run: ["Run by the clock", "按时间运行"],
  no_cues: ["A rundown of your show: each cue does what you choose at the press of Enter.", "直播流程：每一条在按下回车时执行所选操作。"],
  cue_add: ["Add a cue", "添加一条"],
  cues_again: ["Use the last one", "使用上次的"],
  cues_unreadable: ["This file is no cue sheet.", "该文件不是流程单。"],
  move_up: ["Move up", "上移"],
  move_down: ["Move down", "下移"],
  cue_edit: ["A cue", "流程条目"],
  cue_name: ["What it is called", "名称"],
  cue_key: ["Key", "快捷键"],
  cue_at: ["Runs by itself at", "自动执行时间"],
  cue_expression: ["Emotion", "表情"],
  cue_gesture: ["Gesture", "动作"],
  cue_scene: ["OBS scene", "OBS 场景"],
  hold_s: ["for seconds", "持续秒数"],
  stays: ["stays", "保持"],
  further: ["Further commands, as JSON", "其他指令（JSON）"],
  further_wrong: ["The further commands are no JSON list.", "其他指令不是 JSON 列表。"],
  scenes: ["OBS scenes", "OBS 场景"],
  overlay: ["Text on the picture", "画面文字"],
  overlay_hint: ["Today 20 % off", "今日八折"],
  show: ["Show", "显示"],
  clear: ["Clear", "清除"],
  sources: ["Faces from elsewhere", "外部驱动"],
  calibrate: ["Calibrate", "校准"],
  sources_hint: ["Your own face, or a phone's, moves what is lit below; speech moves the rest.", "用您本人的脸或手机驱动下方点亮的部位，其余由语音驱动。"],
  webcam_start: ["Use the webcam", "使用摄像头"],
  webcam_opening: ["Opening…", "正在打开…"],
  webcam_stop: ["Webcam off", "关闭摄像头"],
  webcam_preview: ["Your webcam; its picture stays in this browser", "您的摄像头画面，仅保留在本浏览器中"],
  clip_play: ["Play a clip…", "播放视频…"],
  clip_stop: ["Stop the clip", "停止视频"],
  clip_looking: ["Looking for the face in it…", "正在查找面部…"],
  source_webcam: ["Webcam", "摄像头"],
  source_clip: ["Clip", "视频"],
  source_ifacialmocap: ["iFacialMocap", "iFacialMocap"],
  source_live_link: ["Live Link Face", "Live Link Face"],
  source_vmc: ["VMC", "VMC"],
  face_lost: ["no face: speech moves all", "无面部：由语音驱动"],
  face_seen: ["look ahead and calibrate", "请正视前方后校准"],
  face_calibrated: ["follows the face", "跟随面部"],
  mix_fine: ["Finer", "细调"],
  mix_pose: ["Head", "头部"],
  mix_lips: ["Lips", "嘴唇"],
  mix_jaw: ["Jaw", "下颌"],
  mix_brows: ["Brows", "眉毛"],
  mix_eyes: ["Eyes", "眼神"],
  mix_lids: ["Lids", "眼睑"],
  operators: ["At the desk", "导播人员"],
  you: ["you", "您"],
  lock_take: ["Only me", "仅限本人操作"],
  lock_release: ["Let others in", "允许他人操作"],
  publish: ["Published to", "推流"],
  publish_add: ["Publish…", "推流到…"],
  publish_url: ["Address of the platform or server", "平台或服务器地址"],
  publish_key: ["Stream key or token", "推流密钥或令牌"],
  publish_start: ["Start", "开始"],
  publish_end: ["End", "结束"],
  publish_starting: ["connecting", "连接中"],
  publish_live: ["live", "直播中"],
  publish_reconnecting: ["connecting again", "重新连接中"],
  publish_failed: ["has ended", "已中断"],
  publish_over: ["Streaming to {targets} has ended with the show.", "直播已结束，到 {targets} 的推流也随之结束。"],
  devices: ["Keys and devices", "快捷键与设备"],
  mapping: ["What does what", "对照表"],
  control: ["Control", "功能"],
  key: ["Key", "按键"],
  gamepad: ["Gamepad", "手柄"],
  no_gamepad: ["Gamepad: press a button on it", "手柄：按任意键连接"],
  gamepad_on: ["Gamepad connected", "手柄已连接"],
  midi: ["Use MIDI", "启用 MIDI"],
  midi_on: ["MIDI connected", "MIDI 已连接"],
  midi_none: ["MIDI: plug a device in", "MIDI：请接入设备"],
  // sentences
  refused_microphone: [
    "The microphone was refused. Allow it in the address bar (the icon left of the address; Safari: Settings for This Website), then press Start again.",
    "麦克风被拒绝。请在地址栏左侧的图标（Safari：此网站的设置）中允许麦克风，然后重新点击“开始”。",
  ],
  no_microphone: ["No microphone was found. Plug one in, then press Start again.", "未找到麦克风。请接入麦克风后重新点击“开始”。"],
  no_webrtc: [
    "This browser has no WebRTC, or keeps it from pages. Allow it in its settings, or open this page in Chrome, Edge, Firefox or Safari.",
    "此浏览器没有 WebRTC，或禁止网页使用。请在设置中允许，或换用 Chrome、Edge、Firefox 或 Safari 打开。",
  ],
  busy_microphone: [
    "The microphone is used by another program. Close that program, then press Start again.",
    "麦克风正被其他程序占用。请关闭该程序后重新点击“开始”。",
  ],
  microphone_silent: [
    "Nothing is heard from the microphone. Is it switched on, and the right one chosen below the picture?",
    "麦克风没有声音。请检查麦克风是否打开，以及画面下方是否选对了设备。",
  ],
  microphone_lost: ["The microphone is gone. Once it or another one is plugged in, it is heard by itself.", "麦克风已断开。重新接入或换一个后会自动恢复。"],
  microphone_forbidden: [
    "The browser no longer lets this page use the microphone. Allow it in the address bar (the icon left of the address; Safari: Settings for This Website), then press Try again below the picture. The show goes on.",
    "浏览器不再允许使用麦克风。请在地址栏左侧的图标（Safari：此网站的设置）中允许麦克风，然后点击画面下方的“重试”。直播仍在进行。",
  ],
  microphone_muted: ["The microphone was muted by the browser or this machine: by another tab, a call, or a switch. Unmute it there, or press Try again below the picture.",
    "麦克风已被浏览器或本机静音（其他标签页、来电或静音开关）。请解除静音，或点击画面下方的“重试”。"],
  microphone_replaced: ["The microphone was gone. Now {name} is heard.", "麦克风曾断开，现在使用：{name}。"],
  microphone_unopened: ["That microphone cannot be opened; another program may be using it. Close that program, then choose it again.",
    "无法打开该麦克风，可能正被其他程序占用。请关闭该程序后重新选择。"],
  refused_camera: [
    "The camera was refused. Allow it in the address bar (the icon left of the address; Safari: Settings for This Website), then try again.",
    "摄像头被拒绝。请在地址栏左侧的图标（Safari：此网站的设置）中允许摄像头，然后重试。",
  ],
  no_camera: ["No camera was found. Plug one in, then try again.", "未找到摄像头。请接入后重试。"],
  busy_camera: ["The camera is used by another program. Close that program, then try again.", "摄像头正被其他程序占用。请关闭该程序后重试。"],
  webcam_lost: ["The webcam is gone: speech moves the face again. Plug it in, then press Use the webcam.",
    "摄像头已断开，面部改由语音驱动。请重新接入后点击“使用摄像头”。"],
  webcam_not_installed: [
    "The face tracker is not installed on this server. Whoever runs it types: make install-webcam",
    "此服务器尚未安装面部追踪组件。请管理员运行：make install-webcam",
  ],
  insecure: [
    "Browsers give microphone and camera only to https:// or localhost addresses. Open this page through one of them.",
    "浏览器只允许 https:// 或 localhost 页面使用麦克风和摄像头，请换用这样的地址打开。",
  ],
  no_server: ["The server does not answer. Start it with `make run`, then try again.", "服务器没有响应。请用 `make run` 启动后重试。"],
  broken: ["The connection to the server broke. Press Start to try again. The show goes on without you; the operator's page can end it.", "与服务器的连接已断开。请点击“开始”重试。节目仍在继续，可在导播页面结束。"],
  no_directing: ["The avatar speaks. Your link is a host's: an operator directs this show from another page.",
    "数字人可以说话。您的链接仅限主播使用，由导播在其他页面操控。"],
  no_control: ["The avatar speaks, but this page may not direct it any more: its link has run out. Open a new one.",
    "数字人可以说话，但本页面已无法操控：链接已过期，请打开新的链接。"],
  kept_back: ["The avatar speaks, but this page may not direct it: a proxy keeps WebSockets back.",
    "数字人可以说话，但本页面无法操控：代理拦截了 WebSocket。"],
  interrupted: ["The connection to the server is interrupted. It is being made again.", "与服务器的连接中断，正在重新连接。"],
  control_lost: ["Commands cannot be sent at the moment; that is being mended. Microphone and picture go on.",
    "暂时无法发送指令，正在恢复；麦克风和画面不受影响。"],
  not_stopped: ["The microphone is off, but the show is still on air. Press Stop again. ({reason})",
    "麦克风已关闭，但直播仍在进行。请再次点击“停止”。（{reason}）"],
  server_gone: ["The server is gone. Start it again, then press Start.", "服务器已关闭。请重新启动后点击“开始”。"],
  not_supported: ["This server cannot do that yet. Nothing has changed.", "当前服务器尚不支持此操作，未作任何更改。"],
  midi_refused: ["This browser gives no MIDI devices. Chrome and Edge do, on https:// or localhost.", "浏览器未提供 MIDI 设备。请使用 Chrome 或 Edge，并通过 https:// 或 localhost 打开。"],
  draining: ["The server is shutting down. This session ends in {seconds} s at the latest.", "服务器即将关闭，本会话最多在{seconds}秒后结束。"],
  show_left: ["A show that began here is still on, and has lost its host. Press Start to go on with it.",
    "您在此开始的直播仍在进行，但主播已断开。请点击“开始”继续直播。"],
  show_hosted: ["A show that began here is still on. If its page was lost, wait for up to 40 seconds to go on with it.",
    "您在此开始的直播仍在进行。如果其页面已意外关闭，请等待最多40秒，即可继续直播。"],
  show_over: ["The show is over.", "直播已结束。"],
  no_picture: ["The picture cannot be shown here: the network may keep it back (UDP). Commands work all the same. Trying again.",
    "此处无法显示画面，网络可能拦截了 UDP；指令仍然有效，正在重试。"],
  show_gone: ["That show is over. Choose another one below.", "该直播已结束，请在下方选择其他会话。"],
  no_channel: ["The desk's channel cannot be opened. Trying again.", "无法打开操控通道，正在重试。"],
  choose_session: ["Choose a session", "请选择会话"],
  may_not_direct: ["This page may not direct the show: the link may be a viewer's or a host's, or a proxy keeps WebSockets back.",
    "本页面无法操控直播：链接可能仅限观众或主播使用，或代理拦截了 WebSocket。"],
  added: ["{name} was added. Press the card to show the new face.", "已添加{name}。点击其卡片即可切换。"],
  add_own: ["Added before", "已添加的人物"],
  remove_sure: ["Remove {name} for good? The portrait is deleted from the server.", "确定永久删除{name}？其头像将从服务器上删除。"],
  forget_sure: ["Delete the gesture {name} for good? It goes from all shows of this server.", "确定永久删除手势“{name}”？此服务器上的所有直播都将无法使用。"],
  panic_key: ["This key is one of the safety buttons'. Choose another one.", "此按键已用于安全按钮，请换一个。"],
  show_ends: ["The show is about to end.", "直播即将结束。"],
  shut_down: ["The server has shut down.", "服务器已关闭。"],
  session_ended: ["The session has ended. Press Start to begin a new one.", "会话已结束。请点击“开始”新建会话。"],
};

/** Refusals by code, in Chinese; in English the server's own sentence is better. */
const REFUSALS = {
  bad_request: "请求无效", bad_command: "指令无效", unauthorized: "缺少有效的访问令牌", forbidden: "没有权限", not_found: "未找到", conflict: "与现有内容冲突",
  locked: "其他操作员已锁定控制", too_large: "文件太大", wrong_type: "文件类型不正确", not_supported: "不支持此内容", too_many: "请求过于频繁", unavailable: "服务器暂时无法处理",
  overloaded: "服务器负载已满", shutting_down: "服务器正在关闭",
};
const PHOTOGRAPH_REFUSALS = {
  unreadable: "无法读取这张图片，请换用 JPEG、PNG 或 WebP 照片。", no_face: "照片中未找到人脸，请使用清晰的正脸照片。",
  several_faces: "照片中有多张人脸，请裁剪到只剩一人。", face_too_small: "人脸太小，请使用更近或更清晰的照片。",
  face_cut_off: "人脸被画面边缘截断，请保留完整头部。", face_turned: "脸部偏转过大，请使用正对镜头的照片。",
  eyes_closed: "照片中闭着眼睛，请使用睁眼的照片。", conflict: "这张照片已经添加过。", too_large: "照片文件太大。",
  too_many: "正在处理另一张照片，请稍后再试。", unavailable: "服务器暂时无法处理照片。",
};

const LANGUAGES = ["en", "zh"];
const KEPT = "flap-language";

function firstLanguage() {
  const asked = new URLSearchParams(location.search).get("lang") ?? recall(KEPT) ?? navigator.language;
  return asked.toLowerCase().startsWith("zh") ? "zh" : "en";
}

let language = firstLanguage();

/** The word of a key; a key without a word (a gesture of the user's own) is shown as it is. */
export function word(key) {
  return WORDS[key]?.[LANGUAGES.indexOf(language)] ?? key.replaceAll("_", " ");
}

/** What to say while the server is shutting down. */
export function farewell({ ends_in_ms: endsInMs }) {
  return word("draining").replace("{seconds}", Math.ceil(endsInMs / 1000));
}

/** What to say when nobody answers: who has opened the page elsewhere cannot start the server. */
export function noServer() {
  return word(["localhost", "127.0.0.1", "[::1]"].includes(location.hostname) ? "no_server" : "server_silent");
}

/** What to say of an error that the server has answered with; the server's own sentence says more than its code. */
export function refusal(error) {
  if (error instanceof TypeError) return noServer();
  if (error.code === "no_webrtc") return word(error.code);
  return language === "zh" && REFUSALS[error.code] ? `${REFUSALS[error.code]}：${error.message}` : error.message;
}

/** The same of a photograph. */
export function photographRefusal(error) {
  return (language === "zh" && PHOTOGRAPH_REFUSALS[error.code]) || refusal(error);
}

/** What to say of a presenter who was added while another one is on: the server's remarks on the photograph too. */
export function welcome({ name, remarks = [] }) {
  return `${word("added").replace("{name}", name)} ${remarksOf({ remarks })}`.trim();
}

/** What the server says of the photograph of a presenter, as sentences. */
export function remarksOf({ remarks }) {
  return remarks.map((remark) => `${remark[0].toUpperCase()}${remark.slice(1)}.`).join(" ");
}

/** Puts words where `data-word` (text), `data-word-label` (accessible name and tooltip, of what `data-of` names), `data-word-hint` and `data-word-title` ask for them. */
export function translate(root = document) {
  root.querySelector(".unloaded")?.remove();
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  for (const element of root.querySelectorAll("[data-word]")) {
    const said = word(element.dataset.word);
    if (element.textContent !== said) element.textContent = said; // screen readers speak what is written anew
  }
  for (const element of root.querySelectorAll("[data-word-label]")) {
    const { wordLabel, of } = element.dataset;
    element.title = of ? `${word(wordLabel)}: ${of}` : word(wordLabel);
    element.setAttribute("aria-label", element.title);
  }
  for (const element of root.querySelectorAll("[data-word-hint]")) element.placeholder = word(element.dataset.wordHint);
  for (const element of root.querySelectorAll("[data-word-title]")) element.title = word(element.dataset.wordTitle);
}

/** Changes to the other language, and remembers it. */
export function switchLanguage() {
  language = language === "en" ? "zh" : "en";
  keep(KEPT, language);
  translate();
}
