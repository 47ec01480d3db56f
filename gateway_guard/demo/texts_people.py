"""What people write when they chat: openings on everything, and the short turns that follow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gateway_guard.demo.lexicon import EVERYDAY, fill, split

if TYPE_CHECKING:
    from random import Random

OPENINGS: Final = (
    "hey, can you help me plan {n} days in {place}? we like {food} and hate museums",
    "What's the difference between {subject} and {subject2}? I have an exam on {day}",
    "my {gadget} makes a weird noise since {day}, any idea what i should check first?",
    "I'm a {job} and I want to start {hobby}. where do I begin without spending a fortune?",
    "Write a birthday message for {relative}, who loves {hobby} and {food}. Not too cheesy",
    "how long does {food} keep in the fridge",
    "I feel {mood} about moving to {place} in {month}. can we talk about it?",
    "Is it normal for a {animal} to sleep all day? it's been like this since {month}",
    "give me a quick dinner idea with {food} leftovers, {n} minutes max",
    (
        "Can you check this email to {relative}? \"Dear {name}, about {day}: I can't make it to "
        'the class because the {gadget} broke again and the repair costs {n} euros. Sorry!"'
    ),
    "what should i ask in a job interview as a {job} at {company}?",
    "Explain {subject} like I have never heard of it",
    (
        "my {code} script fails with IndexError on line {n} when the file is empty, why?\n\n"
        "for row in rows:\n    total += row[{n}]\nprint(total / len(rows))"
    ),
    "I need a bedtime story for my daughter: a {animal} that wants to learn {hobby} in {place}",
    "{relative} and I disagree about the rent for {month}: {n} percent more. what are my rights?",
    "recommend books about {subject} for someone who usually reads about {hobby}",
    "help me name my {animal}, it likes {food}",
    'How do I say "I am {mood} because of the {gadget}" in {language}?',
    "what happened in {place} in 19{n}? my grandfather was a {job} there",
    (
        'Could you proofread: "The {quality} {thing} arrive on {day} and was already broke, I want '
        'my {n} pounds back"'
    ),
    "I have {n} kg of apples and one {day} afternoon. ideas?",
    "is {hobby} good for back pain? I am {n} and sit all day as a {job}",
    "our book club reads something about {subject} in {month}, suggest questions for the evening",
    "which {gadget} should I buy for a flat in {place}? budget {n}0",
    "why does everyone say {subject} is hard? I thought {subject2} was worse lol",
)
FOLLOW_UPS: Final = (
    "thanks! and what about {place}?",
    "hm, not quite. {relative} would never say it like that, make it shorter",
    "ok and if it rains?",
    "why?",
    "can you put that in a table",
    "I already tried that on {day}, didn't work",
    "wait, {n} minutes? that seems too long",
    "haha nice. now the same for {relative}",
    "and without {food}?",
    "what would a {job} say about it?",
    "cool, how much would that cost roughly",
    "sorry, I meant {month}, not {day}",
    "go on",
    "that's perfect, thank you!!",
    "could you make the second part less formal",
    "so is that the same as {subject}?",
    "i don't get the last step",
    "one more thing: my {gadget} is from 20{n}, does that matter?",
    "translate the middle bit to {language} please",
    "ok let's do the {n} euro version",
    "do you have a source for that",
    "I feel {mood} now, but fine. next?",
)
CHINESE: Final = {
    "城市": split("成都; 杭州; 西安; 厦门; 哈尔滨; 昆明; 苏州; 青岛; 长沙; 拉萨"),
    "菜": split("番茄炒蛋; 红烧肉; 麻婆豆腐; 饺子; 凉皮; 清蒸鱼; 酸辣粉; 小笼包; 火锅; 煲仔饭"),
    "爱好": split("书法; 钓鱼; 羽毛球; 围棋; 养花; 摄影; 登山; 二胡; 做木工; 骑行"),
    "家人": split("我妈; 我爸; 我同事; 我女朋友; 邻居; 我老板; 孩子; 我奶奶; 室友"),
    "东西": split("洗衣机; 路由器; 电饭锅; 旧手机; 空调; 打印机; 电动车; 耳机; 冰箱"),
    "时候": split("周末; 下个月; 国庆节; 明天早上; 春节前; 上周三; 晚上; 暑假"),
    "心情": split("焦虑; 开心; 无聊; 累; 纠结; 期待; 郁闷"),
}
CHINESE_OPENINGS: Final = (
    "{时候}想去{城市}玩{n}天，带着{家人}，有什么建议吗？",
    "家里的{东西}突然坏了，{时候}修还来得及吗，先检查哪里？",
    "{家人}最近总是说{心情}，我该怎么安慰比较好",
    "帮我写一段祝福语给{家人}，{他喜欢}{爱好}，不要太肉麻",
    "{菜}怎么做才好吃？家里只有{n}分钟",
    "我想学{爱好}，零基础，{时候}开始，大概要花多少钱",
    "{城市}{时候}冷不冷，要带什么衣服",
    "面试的时候被问到为什么喜欢{爱好}，怎么回答比较自然？",
)
CHINESE_FOLLOW_UPS: Final = (
    "好的谢谢，那如果换成{城市}呢？",
    "太长了，短一点",
    "为什么？",
    "{家人}不吃{菜}，换一个吧",
    "嗯，大概多少钱",
    "我试过了，不行",
    "哈哈可以，再来一个",
    "那{时候}呢",
    "有点{心情}，算了，下一步怎么做",
)
FEWEST_TURNS, MOST_TURNS = 2, 7


def conversation(rng: Random) -> list[str]:
    """Return what a person writes in one conversation, turn by turn."""
    turns = rng.randint(FEWEST_TURNS, MOST_TURNS)
    patterns = [rng.choice(OPENINGS), *rng.sample(FOLLOW_UPS, turns - 1)]
    return [fill(rng, pattern, EVERYDAY) for pattern in patterns]


def chinese_conversation(rng: Random) -> list[str]:
    """Return what a person writes in one conversation in Chinese, turn by turn."""
    words = CHINESE | {"他喜欢": ("喜欢", "最近迷上了", "一直爱")}
    turns = rng.randint(FEWEST_TURNS, MOST_TURNS)
    patterns = [rng.choice(CHINESE_OPENINGS), *rng.sample(CHINESE_FOLLOW_UPS, turns - 1)]
    return [fill(rng, pattern, words) for pattern in patterns]
